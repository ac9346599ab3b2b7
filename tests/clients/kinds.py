"""The clients that the tests know. A new one is a module with a class, and a line here."""

from __future__ import annotations

from clients.claude_code import ClaudeCode
from clients.client import Client
from clients.codex import Codex
from clients.gemini_cli import GeminiCli
from clients.opencode import OpencodeAnthropic, OpencodeOpenai
from provider.answers import Page

KINDS: tuple[type[Client], ...] = (ClaudeCode, Codex, GeminiCli, OpencodeAnthropic, OpencodeOpenai)
PROGRAMS = {kind: kind.find() for kind in KINDS}  # before the tests get a home of their own
HOSTS = tuple(host for kind in KINDS for host in kind.hosts)
PAGES: dict[str, Page] = {asked: page for kind in KINDS for asked, page in kind.pages.items()}
