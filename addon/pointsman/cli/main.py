"""The `pointsman` command. Each module beside this one is a subcommand: its object named `command`."""

from __future__ import annotations

import importlib
import pkgutil

import click

import pointsman.cli
from pointsman import __version__
from pointsman.errors import PointsmanError


class Subcommands(click.Group):
    """Imports a subcommand only when it is called, since some need numpy or mitmproxy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = (module.name for module in pkgutil.iter_modules(pointsman.cli.__path__))
        return sorted(name for name in names if name != "main" and not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = getattr(importlib.import_module(f"pointsman.cli.{cmd_name}"), "command", None)
        return found if isinstance(found, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PointsmanError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Subcommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pointsman")
def main() -> None:
    """Decide which language model serves each request of the clients behind this proxy."""
