"""The fields of a head with some of them set and some taken out, in one pass.

All others stay as they are, in their places. (A mapping of headers goes through all of them for each name.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Field = tuple[bytes, bytes]


def edited(
    fields: Iterable[Field],
    changes: Mapping[bytes, bytes | None],
    leaves_out: Callable[[bytes], bool] | None = None,
) -> tuple[Field, ...]:
    """`changes` says by name, in lower case, what a field shall be, None for none at all.

    What is set takes the place, and the spelling, of the first field of its name, or comes last.
    `leaves_out` is asked for all other names, in lower case.
    """
    left = dict(changes)
    made: list[Field] = []
    for field in fields:
        name = field[0].lower()
        if name in changes:
            value = left.pop(name, None)
            if value is not None:
                made.append((field[0], value))
        elif leaves_out is None or not leaves_out(name):
            made.append(field)
    made += [(name, value) for name, value in left.items() if value is not None]
    return tuple(made)
