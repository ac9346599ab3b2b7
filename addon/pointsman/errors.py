"""Whose fault it is.

Every error that Pointsman raises on purpose says who has to act: the client that
sent the request, the author of a bundle, or the author of the configuration. The
message is meant for that person: it names the file, key or header, and what would
be right.
"""

from __future__ import annotations


class PointsmanError(Exception):
    """Base of all errors raised on purpose; `str(error)` is a complete sentence for a human."""


class ClientError(PointsmanError):
    """The client asked the router for something wrong: answered with a 4xx in the surface's own shape.

    `status` is the HTTP status, `source` the header or field at fault.
    """

    def __init__(self, message: str, *, status: int = 400, source: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.source = source


class BodyError(PointsmanError):
    """A body cannot be read as what its headers say it is. Never answered: the request passes unrouted."""


class TooLargeError(BodyError):
    """A body is larger than what is read, in the end or before it is decoded."""


class BundleError(PointsmanError):
    """A bundle is broken (a 503 if found while routing, never a 400)."""


class ConfigError(PointsmanError):
    """router.yaml, an option or the catalogue is wrong; names file, line and key."""

    def __init__(self, message: str, *, file: str = "", line: int | None = None, key: str = "") -> None:
        place = f"{file}:{line}" if file and line else file
        prefix = ": ".join(part for part in (place, key) if part)
        super().__init__(f"{prefix}: {message}" if prefix else message)
        self.problem = message
        self.file = file
        self.line = line
        self.key = key


class UpstreamError(PointsmanError):
    """A provider that Pointsman itself asked gave no answer, or none that is one; has no secret in it.

    `kind` is timeout, network, status (the provider refused), answer (it is not understood) or key (there is
    none, so nobody was asked); `status` the HTTP status, if there was one.
    """

    def __init__(self, message: str, *, kind: str, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class StoreError(PointsmanError):
    """The database cannot be opened, migrated, or written."""


class DataError(PointsmanError):
    """A file of training or evaluation data is wrong; names file, line and column."""
