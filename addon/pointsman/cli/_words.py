"""Words for a terminal: wrapped at its width between words, and unwrapped for a pipe."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap

import click

_COMMAND = re.compile(r'eval "[^"]*"|`[^`]*`|chmod .*')  # pasted into a shell, so no line may end in it


def wrapped(line: str, indent: str = "", err: bool = False) -> None:
    """Print one line. On a terminal its continuation is indented; a path or a command stays whole."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        whole = _COMMAND.sub(lambda found: found[0].replace(" ", "\0"), line)
        line = textwrap.fill(
            whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        ).replace("\0", " ")
    click.echo(line, err=err)
