"""`pointsman statusline`: one line for Claude Code's status line.

Claude Code runs it after every answer with a JSON object on standard input and shows the first
line of its output. So it is quick, looks at the database only to read, and never fails:
where there is nothing to say it prints an empty line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_PATIENCE_S = 0.2  # for a database that is just being changed

_NEWEST = """
    SELECT served_model, reason FROM decisions
    WHERE session_hint = ? AND endpoint = 'generate'
    ORDER BY turn = 'main' DESC, at DESC LIMIT 1
"""
_SAVED = """
    SELECT sum(requested_cost_usd - cost_usd), sum(requested_cost_usd) FROM decisions
    WHERE session_hint = ? AND endpoint = 'generate'
      AND cost_usd IS NOT NULL AND requested_cost_usd IS NOT NULL
"""


@click.command("statusline", short_help="One line for Claude Code's status line.")
@click.option("--db", metavar="FILE", default="", help="The database, if router_db or router.yaml names one.")
def command(db: str) -> None:
    """Print served model, reason and saving of this conversation, for Claude Code's status line.

    In ~/.claude/settings.json, with the whole path if it is not on PATH:

    \b
    {"statusLine":
      {"type": "command", "command": "pointsman statusline"}}
    """
    import sys

    try:
        line = status(sys.stdin.buffer.read(), db)
    except Exception:  # whatever it is, an error message in the status line would help nobody
        line = ""
    click.echo(line)


def status(stdin: bytes, db: str = "") -> str:
    """The line for what Claude Code wrote to standard input; "" if nothing is known of the conversation.

    Raises whatever is wrong with the input or the database.
    """
    import json

    hint = json.loads(stdin)["session_id"]
    found = _look_up(_database(db), hint)
    if found is None:
        return ""
    model, reason, saved, instead = found
    parts = [f"✦ {model}", reason]
    if saved is not None and instead:
        parts.append(_saving(saved, instead))
    return "".join(letter for letter in " · ".join(part for part in parts if part) if letter.isprintable())


def _database(db: str) -> Path:
    from pointsman import paths

    return Path(db).expanduser() if db else paths.default_database()


def _look_up(path: Path, session_id: str) -> tuple[Any, ...] | None:
    """Model, reason, USD saved in the whole conversation, USD it would have cost; None if unknown."""
    from pointsman.session import hint_hash
    from pointsman.store.opening import open_for_reading

    hint = hint_hash(session_id)
    if not hint:
        return None
    connection = open_for_reading(path, _PATIENCE_S)
    try:
        newest = connection.execute(_NEWEST, [hint]).fetchone()
        saved = connection.execute(_SAVED, [hint]).fetchone()
    finally:
        connection.close()
    return (*newest, *saved) if newest else None


def _saving(saved: float, instead: float) -> str:
    if abs(saved) < 0.00005:
        return "no saving yet"
    digits = 2 if abs(saved) >= 0.1 else 4
    verb = "saved" if saved > 0 else "cost more by"
    return f"{verb} ${abs(saved):.{digits}f} ({abs(saved) / instead:.0%})"
