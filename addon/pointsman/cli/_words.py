"""Words for a terminal: wrapped at its width between words, and unwrapped for a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click


def wrapped(line: str, indent: str = "", err: bool = False) -> None:
    """Print one line. On a terminal its continuation is indented; what has no spaces (a path) stays whole."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        line = textwrap.fill(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
            drop_whitespace=True, replace_whitespace=False,
        )  # fmt: skip
    click.echo(line, err=err)
