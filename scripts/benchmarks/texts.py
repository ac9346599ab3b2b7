"""Words, code and prose made from a seed: the same in every run."""

from __future__ import annotations

import json
import random

PROMPT_TOKENS = 128

# Each is one token of the encoder, so that a prompt's length in tokens is known.
_WORDS = """
    train track signal platform engine driver station bridge river night winter city road music paper
    table window garden school market letter number method function value error result test server client
    query data file build change update remove create find read write call return check run open close
    small large fast slow new old first last next same other good bad long short high low left right the a
    of in to for with on at by from as is was are be has had it this that and or but if then when where
""".split()  # noqa: SIM905 - ninety literals read worse
CODE = (
    "def advance(train: Train, signal: Signal) -> Position:\n"
    '    """Moves to the next block if \\"signal\\" is clear."""\n'
    "    if signal.aspect is not Aspect.CLEAR:\n\t\treturn train.position  # waits\n"
    "    return track.blocks[train.position.index + 1].start\n"
)


def prompt(seed: int, tokens: int = PROMPT_TOKENS) -> str:
    """A text of about that many tokens, unlike every other seed's."""
    chosen = random.Random(seed)
    return " ".join(chosen.choice(_WORDS) for _ in range(tokens - 2))


def prose(size: int) -> str:
    """A text of `size` characters, which are as many bytes of JSON."""
    chosen = random.Random(size)
    text = "You are an agent that looks after a railway. "
    while len(text) < size:
        text += f"{chosen.choice(_WORDS)} "
    return text[: max(size, 0)]


def output(size: int) -> str:
    """What a tool gives back: code, in about `size` bytes of JSON."""
    written = len(json.dumps(CODE)) - 2
    code = (CODE * (size // written + 1))[: size * len(CODE) // written]
    return f"{code} — né, 列車"
