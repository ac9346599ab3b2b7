"""What the models of other providers take, by hand; their names differ from host to host."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provider.anthropic.capabilities import BY_NAME, Takes

EFFORTS = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a chat API. `echo`: it wants its thoughts back in the messages of an open tool loop."""

    thinks: bool = False
    echo: bool = False
    images: bool = False
    efforts: tuple[str, ...] = ()
    context_tokens: int = 128_000
    max_output_tokens: int = 32_000
    cache_writes: bool = False
    name: str = ""  # as asked for

    @property
    def answers_as(self) -> str:
        return self.name


KIMI = Model(
    thinks=True, echo=True, images=True, efforts=EFFORTS, context_tokens=262_144, max_output_tokens=65_536
)
MINIMAX = Model(thinks=True, efforts=EFFORTS, context_tokens=204_800, max_output_tokens=131_072)
GPT = Model(
    images=True, efforts=("none", *EFFORTS, "xhigh"), context_tokens=400_000, max_output_tokens=128_000
)
DEEPSEEK = Model(context_tokens=131_072, max_output_tokens=8_192)
REASONER = Model(thinks=True, echo=True, context_tokens=131_072, max_output_tokens=65_536)
GLM = Model(thinks=True, context_tokens=204_800, max_output_tokens=131_072)
MISTRAL = Model(images=True, context_tokens=262_144, max_output_tokens=262_144)
GROK = Model(thinks=True, images=True, efforts=EFFORTS, context_tokens=256_000, max_output_tokens=64_000)
LLAMA = Model(context_tokens=131_072, max_output_tokens=32_768)
GPT_OSS = Model(thinks=True, efforts=EFFORTS, context_tokens=131_072, max_output_tokens=65_536)
QWEN = Model(context_tokens=262_144, max_output_tokens=65_536)
CLAUDE_OPUS = Model(images=True, efforts=EFFORTS, context_tokens=1_000_000, max_output_tokens=128_000)
CLAUDE_HAIKU = Model(images=True, context_tokens=200_000, max_output_tokens=64_000)


@dataclass(frozen=True, slots=True)
class Copied:
    """A model behind a copy of Anthropic's API: `like` one of Anthropic's, or a stranger to it."""

    like: str = ""
    thinks: bool = False

    def takes(self, name: str) -> Takes:
        if self.like:
            return replace(BY_NAME[self.like], name=name, aliases=())
        return Takes(
            name,
            context_tokens=200_000,
            max_output_tokens=64_000,
            thinking=frozenset({"enabled", "disabled"}),
            thinks_unasked=self.thinks,
            efforts=frozenset(),
            sampling="free",
            system_role=False,
            tool_changes=False,
            prefill=True,
            tool_types=frozenset({"custom"}),
            token_factor=1.0,
        )
