"""Lines for a terminal are wrapped between words; a pipe gets them whole."""

from __future__ import annotations

import io
import sys

import pytest
from pointsman.cli._words import wrapped

LINE = "FAIL   proxy: nothing answers at /a/path/that/is/longer/than/the/terminal is/wide"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "30")
    wrapped(LINE, "       ")
    assert terminal.getvalue().splitlines() == [
        "FAIL   proxy: nothing answers",
        "       at",
        "       /a/path/that/is/longer/than/the/terminal",
        "       is/wide",
    ]


def test_a_command_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "30")
    command = 'eval "$(/some/where/pointsman env --port 8090)"'
    wrapped(f"clients of this shell need: {command}")
    assert terminal.getvalue().splitlines() == ["clients of this shell need:", command]


def test_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    wrapped(LINE, "       ", err=True)
    assert capsys.readouterr().err == LINE + "\n"
