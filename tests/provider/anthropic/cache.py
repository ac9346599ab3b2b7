"""Prompt caching by exact prefix identity, and the token counts that follow from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider.anthropic.capabilities import Takes
from provider.anthropic.structure import blocks_of

LOOKBACK_BLOCKS = 20
BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of one prompt as the provider bills them."""

    input: int
    read: int
    write_5m: int
    write_1h: int

    @property
    def total(self) -> int:
        return self.input + self.read + self.write_5m + self.write_1h

    def usage(self, output_tokens: int) -> dict[str, Any]:
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.write_5m + self.write_1h,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.write_5m,
                "ephemeral_1h_input_tokens": self.write_1h,
            },
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }


@dataclass
class PromptCache:
    """What (account, model) pairs have written. Nothing expires within a test."""

    written: set[tuple[str, str, str]] = field(default_factory=set)

    def count(self, body: Mapping[str, Any], model: Takes, account: str) -> Counted:
        """Count a prompt, reading the longest cached prefix and writing up to each breakpoint."""
        tokens: list[int] = []
        size = 0
        keys: list[str] = []
        marks: list[tuple[int, bool]] = []
        running = hashlib.sha256()
        for data, control in _segments(body):
            running.update(data)
            size += len(data)
            tokens.append(_tokens(size, model))
            keys.append(running.hexdigest())
            if control is not None:
                marks.append((len(keys) - 1, control.get("ttl") == "1h"))
        total = tokens[-1] if tokens else 0
        usable = [(index, hour) for index, hour in marks if tokens[index] >= model.cache_minimum_tokens]
        read_to = self._longest(keys, usable, account, model)
        read = tokens[read_to] if read_to >= 0 else 0
        written = {False: 0, True: 0}
        done = read
        for index, hour in usable:
            written[hour] += max(0, tokens[index] - done)
            done = max(done, tokens[index])
            self.written.add((account, model.name, keys[index]))
        return Counted(total - done, read, written[False], written[True])

    def _longest(self, keys: list[str], usable: list[tuple[int, bool]], account: str, model: Takes) -> int:
        for index, _ in reversed(usable):
            for candidate in range(index, max(-1, index - LOOKBACK_BLOCKS), -1):
                if (account, model.name, keys[candidate]) in self.written:
                    return candidate
        return -1


def _tokens(size: int, model: Takes) -> int:
    return max(1, math.ceil(size / BYTES_PER_TOKEN * model.token_factor))


def _segments(body: Mapping[str, Any]) -> Iterator[tuple[bytes, Mapping[str, Any] | None]]:
    """The prompt in the order in which it is cached: tools, system, messages; block by block."""
    everything = [("tools", tool) for tool in body.get("tools") or []]
    system = body.get("system")
    everything += [("system", block) for block in blocks_of({"content": system})] if system else []
    for index, message in enumerate(body["messages"]):
        effort = (message.get("output_config") or {}).get("effort", "")
        everything += [(f"{index}{message['role']}{effort}", block) for block in blocks_of(message)]
    for number, (place, block) in enumerate(everything):
        control = block.get("cache_control")
        if control is None and number == len(everything) - 1:
            control = body.get("cache_control")
        bare = {key: value for key, value in block.items() if key != "cache_control"}
        yield json.dumps([place, bare], ensure_ascii=True).encode(), control
