"""What each OpenAI model of the stand-in takes. Written by hand from published rules and error messages.

Deliberately not imported from the product: if both came from one table, a wrong row would be
wrong on both sides and no test could see it. A model that is not here is a 404.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
EVERYWHERE = frozenset(
    {"function", "file_search", "web_search", "web_search_2025_08_26", "web_search_preview"}
    | {"web_search_preview_2025_03_11", "mcp", "code_interpreter", "image_generation"}
)
GPT_5 = EVERYWHERE | {"custom"}
GPT_5_1 = GPT_5 | {"apply_patch", "shell"}
GPT_5_4 = GPT_5_1 | {"computer", "tool_search", "namespace", "programmatic_tool_calling"}
VERBOSITIES = ("low", "medium", "high")
RETENTIONS = ("in_memory", "24h")


def _efforts(lowest: str, highest: str, *without: str) -> tuple[str, ...]:
    found = ORDER[ORDER.index(lowest) : ORDER.index(highest) + 1]
    return tuple(effort for effort in found if effort not in without)


@dataclass(frozen=True, slots=True)
class Takes:
    """One model.

    `efforts` is empty for a model that does not reason. `chat_tools` is about functions in Chat
    Completions: "always"; "unasked" (no effort given, or none); "none" (effort none has to be given).
    """

    name: str
    efforts: tuple[str, ...] = ()
    effort: str = ""  # unless the request names one
    max_effort_in_chat: bool = True
    chat: bool = True
    chat_tools: str = "always"
    cache_writes: bool = False  # bills what it writes to the prompt cache, and says how much
    lite: bool = False  # knows the header that Codex sends
    images: bool = True
    verbosities: tuple[str, ...] = VERBOSITIES
    retentions: tuple[str, ...] = RETENTIONS
    tools: frozenset[str] = GPT_5
    context_tokens: int = 400_000
    max_output_tokens: int = 128_000
    snapshot: str = ""  # the name that answers carry, and that may be asked for too

    @property
    def reasons(self) -> bool:
        return bool(self.efforts)

    @property
    def answers_as(self) -> str:
        return self.snapshot or self.name


_OLD = Takes("", verbosities=("medium",), retentions=(), tools=EVERYWHERE)
_4O = replace(_OLD, context_tokens=128_000, max_output_tokens=16_384)
_41 = replace(_OLD, context_tokens=1_047_576, max_output_tokens=32_768)
_O = replace(
    _OLD, efforts=_efforts("low", "high"), effort="medium", context_tokens=200_000, max_output_tokens=100_000
)
_5 = Takes("", efforts=_efforts("minimal", "high"), effort="medium")
_51 = replace(_5, efforts=_efforts("none", "high", "minimal"), effort="none", tools=GPT_5_1)
_52 = replace(_51, efforts=_efforts("none", "xhigh", "minimal"), chat_tools="unasked")
_54 = replace(_52, tools=GPT_5_4, context_tokens=1_050_000)
_55 = replace(_54, effort="medium", retentions=("24h",))
_56 = replace(
    _55, efforts=_efforts("none", "max", "minimal"), chat_tools="none", lite=True, cache_writes=True
)
_6 = replace(_56, efforts=_efforts("low", "max"))  # no none, so there are no functions in chat
_CODEX = replace(_5, efforts=_efforts("low", "high"), chat=False, verbosities=("medium",))

MODELS = (
    replace(_4O, name="gpt-4o", snapshot="gpt-4o-2024-08-06"),
    replace(_4O, name="gpt-4o-mini", snapshot="gpt-4o-mini-2024-07-18"),
    replace(_41, name="gpt-4.1", snapshot="gpt-4.1-2025-04-14", retentions=RETENTIONS),
    replace(_41, name="gpt-4.1-mini", snapshot="gpt-4.1-mini-2025-04-14"),
    replace(_41, name="gpt-4.1-nano", snapshot="gpt-4.1-nano-2025-04-14"),
    replace(_O, name="o3", snapshot="o3-2025-04-16"),
    replace(_O, name="o4-mini", snapshot="o4-mini-2025-04-16"),
    replace(_O, name="o3-mini", snapshot="o3-mini-2025-01-31", images=False),
    replace(_5, name="gpt-5", snapshot="gpt-5-2025-08-07"),
    replace(_5, name="gpt-5-mini", snapshot="gpt-5-mini-2025-08-07", retentions=()),
    replace(_5, name="gpt-5-nano", snapshot="gpt-5-nano-2025-08-07", retentions=()),
    replace(_CODEX, name="gpt-5-codex"),
    replace(_51, name="gpt-5.1", snapshot="gpt-5.1-2025-11-13"),
    replace(_CODEX, name="gpt-5.1-codex", tools=GPT_5_1),
    replace(_CODEX, name="gpt-5.1-codex-mini", tools=GPT_5_1),
    replace(_52, name="gpt-5.2", snapshot="gpt-5.2-2025-12-11"),
    replace(_CODEX, name="gpt-5.2-codex", tools=GPT_5_1, efforts=_efforts("low", "xhigh")),
    replace(_CODEX, name="gpt-5.3-codex", tools=GPT_5_1, efforts=_efforts("low", "xhigh")),
    replace(_54, name="gpt-5.4"),
    replace(_54, name="gpt-5.4-mini", snapshot="gpt-5.4-mini-2026-03-17", context_tokens=400_000),
    replace(_54, name="gpt-5.4-nano", snapshot="gpt-5.4-nano-2026-03-17", context_tokens=400_000),
    replace(_55, name="gpt-5.5", snapshot="gpt-5.5-2026-04-23"),
    replace(_55, name="gpt-5.5-pro", efforts=_efforts("medium", "xhigh"), chat=False),
    replace(_56, name="gpt-5.6"),
    replace(_56, name="gpt-5.6-sol"),
    replace(_56, name="gpt-5.6-terra"),
    replace(_56, name="gpt-5.6-luna"),
    replace(_56, name="gpt-6-sol"),
    replace(_56, name="gpt-6-luna"),
    replace(_56, name="gpt-6.1-terra"),
    replace(_6, name="gpt-6.1-sol"),
    replace(_6, name="gpt-6-astra", max_effort_in_chat=False),
)
BY_NAME = {name: model for model in MODELS for name in (model.name, model.snapshot) if name}
CHATGPT_REFUSES = frozenset(model.name for model in MODELS if not model.name.startswith(("gpt-5.", "gpt-6")))
