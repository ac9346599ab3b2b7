"""The script for `mitmdump -s addon/router.py`: puts the package in reach, nothing else.

mitmproxy executes this file again whenever it changes, so it keeps no state.
"""

import sys
from pathlib import Path

_here = str(Path(__file__).resolve().parent)
if _here not in sys.path:
    sys.path.insert(0, _here)

from pointsman.addon import Pointsman  # noqa: E402

addons = [Pointsman()]
