"""One secret taken out of bytes that come in any split."""

from __future__ import annotations

from typing import Final

MASK: Final = b"[secret]"


class Withheld:
    """What `feed` gives never has the secret in it, not even over several calls; "" is never found."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._held = b""  # the end of what came, where it may be the secret's beginning

    def feed(self, data: bytes) -> bytes:
        """What can be told by now; at most the secret's length less one byte is held back."""
        if not self._secret:
            return data
        data = (self._held + data).replace(self._secret, MASK)
        begun = self._begun(data)
        self._held = data[len(data) - begun :]
        return data[: len(data) - begun]

    def flush(self) -> bytes:
        """The rest, at the end."""
        held, self._held = self._held, b""
        return held

    def _begun(self, data: bytes) -> int:
        """How many bytes at the end of `data` the secret begins with."""
        most = min(len(self._secret) - 1, len(data))
        return next((size for size in range(most, 0, -1) if data.endswith(self._secret[:size])), 0)
