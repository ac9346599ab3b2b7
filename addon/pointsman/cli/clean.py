"""`pointsman clean`: take markers out of the transcripts that Claude Code keeps on disk."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("clean", short_help="Take markers out of saved conversations.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--no-backup", is_flag=True, help="Do not keep the old content as FILE.bak.")
def command(paths: tuple[Path, ...], dry_run: bool, no_backup: bool) -> None:
    """Remove Pointsman's markers from saved conversations.

    PATHs are transcripts or directories of them; without any, those of Claude Code (CLAUDE_CONFIG_DIR
    is honoured). Needed only once Pointsman is no longer used: while it runs, it strips markers from
    what is sent. Everything else in the files keeps its bytes; mode and times stay. End Claude Code first.
    """
    import os

    from pointsman import transcripts

    found = list(paths) or transcripts.directories(os.environ, Path.home())
    if not found:
        raise click.ClickException("no transcripts of Claude Code found; name a file or directory")
    files = [file for path in found for file in transcripts.find(path)]
    total = changed = failed = 0
    for file in files:
        try:
            count = transcripts.clean_file(file, backup=not no_backup, dry_run=dry_run)
        except transcripts.TranscriptBusy:
            failed += 1
            click.echo(f"{file}: left alone, something is writing to it; end Claude Code first", err=True)
        except OSError as error:
            failed += 1
            click.echo(f"{file}: left alone, {error.strerror or error}", err=True)
        else:
            if count:
                click.echo(f"{file}: {_plural(count, 'marker')}")
                total, changed = total + count, changed + 1
    click.echo(_summary(total, changed, len(files), dry_run))
    if changed and not dry_run and not no_backup:
        click.echo(f"The old files are beside the new ones as *{transcripts.BACKUP}.")
    if failed:
        raise SystemExit(1)


def _summary(total: int, changed: int, looked_at: int, dry_run: bool) -> str:
    verb = "would be removed from" if dry_run else "removed from"
    return f"{_plural(total, 'marker')} {verb} {_plural(changed, 'transcript')} ({looked_at} looked at)."


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
