"""What a family raises for a request that it does not take."""

from __future__ import annotations


class Refusal(Exception):
    """A request that the provider answers with an error. `str()` is the message that the client gets."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
