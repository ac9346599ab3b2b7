"""Pointsman: a mitmproxy addon that decides which model serves a request."""

__version__ = "0.1.0"
