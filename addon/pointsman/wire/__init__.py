"""Bytes to meaning and back. No I/O, no clock, no mitmproxy."""
