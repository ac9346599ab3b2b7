"""What comes after an attempt without an answer: another try, the next binding, or the end.

| what happened | then |
| --- | --- |
| no connection, TLS refused, reset, no answer in time, no answer at all | next binding |
| 408, 409, 425, 429, 500 and above | next binding |
| 401, 402, 403, 404: the fault of this binding | next binding |
| any other refusal: the fault of the request | the end |

`x-should-retry` of the provider wins over the status, but for what is the fault of this binding alone. No
binding is asked twice, but where there is no other and nothing was reached: then it is tried again twice,
shortly after.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

PASSING: Final = frozenset({408, 409, 425, 429})
OF_THE_BINDING: Final = frozenset({401, 402, 403, 404})
CONNECT_DELAYS_S: Final = (0.1, 0.4)


class Step(Enum):
    SAME = "same"
    NEXT = "next"
    STOP = "stop"


def next_step(kind: str, status: int | None, headers: Mapping[str, str], *, others: bool, tries: int) -> Step:
    """`kind` is that of a Failure; `status` None where no head came. `others`: is a binding left?

    `tries`: how often this one was tried.
    """
    if others:
        return Step.NEXT if status is None or moves_on(status, headers) else Step.STOP
    again = kind == "connect" and tries <= len(CONNECT_DELAYS_S)
    return Step.SAME if again else Step.STOP


def moves_on(status: int, headers: Mapping[str, str]) -> bool:
    """Would another binding be asked after this head? A success is one without an answer in it."""
    if status in OF_THE_BINDING:
        return True
    said = headers.get("x-should-retry", "").strip().lower()
    if said in ("true", "false"):
        return said == "true"
    return status < 300 or status >= 500 or status in PASSING


def delay_s(tries: int) -> float:
    """How long to wait before the same binding is tried again."""
    return CONNECT_DELAYS_S[min(tries, len(CONNECT_DELAYS_S)) - 1]
