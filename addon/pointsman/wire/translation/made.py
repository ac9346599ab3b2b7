"""What translated answers make up, so that it is known again when a client sends it back.

A client keeps the thinking and the items of its history, and sends them to whoever serves the next turn. No
provider has signed or numbered these: on the native way they are taken out (`disown` of a surface).
"""

from __future__ import annotations

from typing import Final

OURS: Final = "pointsman"
"""What stands in all of these."""

NAME: Final = OURS.encode()
"""For a look before anything is parsed."""

SIGNATURE: Final = OURS
"""How signatures of thinking blocks and thought signatures begin."""

REASONING_ID: Final = "rs_pointsman_"
ITEM_IDS: Final = ("msg_pointsman_", "fc_pointsman_", "ctc_pointsman_", "lsh_pointsman_", "apc_pointsman_")
