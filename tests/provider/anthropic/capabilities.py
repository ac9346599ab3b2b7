"""What each model of the stand-in takes. Written by hand from the providers' published rules.

Deliberately not imported from the product: if both came from one table, a wrong row would be
wrong on both sides and no test could see it. A model that is not here is a 404.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

EFFORTS_46 = frozenset({"low", "medium", "high", "max"})
EFFORTS_47 = EFFORTS_46 | {"xhigh"}

TOOLS_EVERYWHERE = frozenset(
    {"bash_20250124", "text_editor_20250124", "text_editor_20250429", "text_editor_20250728"}
    | {"web_search_20250305", "web_fetch_20250910", "memory_20250818", "code_execution_20250825", "custom"}
    | {"tool_search_tool_bm25_20251119", "tool_search_tool_regex_20251119"}
)
COMPUTER_OLD = frozenset({"computer_20250124"})
COMPUTER_NEW = frozenset({"computer_20251124"})
WEB_NEW = frozenset({"web_search_20260209", "web_fetch_20260209", "code_execution_20260120"})


@dataclass(frozen=True, slots=True)
class Takes:
    """One model's capabilities. `thinking` lists the accepted values of thinking.type."""

    name: str
    aliases: tuple[str, ...] = ()
    context_tokens: int = 1_000_000
    max_output_tokens: int = 128_000
    thinking: frozenset[str] = frozenset({"adaptive", "disabled"})
    thinks_unasked: bool = True
    efforts: frozenset[str] = EFFORTS_47
    sampling: str = "refused"  # "free", "defaults" (only temperature 1) or "refused"
    system_role: bool = True
    effort_per_message: bool = False  # output_config on a message with the role system
    tool_changes: bool = True  # tool_addition and tool_removal there
    forced_tool: bool = True
    prefill: bool = False
    tool_types: frozenset[str] = TOOLS_EVERYWHERE | COMPUTER_NEW | WEB_NEW
    speeds: frozenset[str] = frozenset({"standard"})
    zero_retention: bool = True
    token_factor: float = 1.3
    cache_minimum_tokens: int = 1024
    prices: tuple[float, float] = field(default=(0.0, 0.0))  # input, output, USD per million tokens


_OLD = Takes(
    name="",
    context_tokens=200_000,
    max_output_tokens=64_000,
    thinking=frozenset({"enabled", "disabled"}),
    thinks_unasked=False,
    efforts=frozenset(),
    sampling="free",
    system_role=False,
    tool_changes=False,
    prefill=True,
    tool_types=TOOLS_EVERYWHERE | COMPUTER_OLD,
    token_factor=1.0,
)
_46 = replace(
    _OLD,
    context_tokens=1_000_000,
    max_output_tokens=128_000,
    thinking=frozenset({"enabled", "adaptive", "disabled"}),
    efforts=EFFORTS_46,
    prefill=False,
    tool_types=TOOLS_EVERYWHERE | COMPUTER_NEW | WEB_NEW,
)
_47 = replace(
    _46,
    thinking=frozenset({"adaptive", "disabled"}),
    efforts=EFFORTS_47,
    sampling="refused",
    token_factor=1.3,
)
_48 = replace(_47, system_role=True, tool_changes=True)
_5 = replace(_48, thinks_unasked=True)
_55 = replace(_5, effort_per_message=True)
FAST = frozenset({"standard", "fast"})
_FABLE = replace(_5, thinking=frozenset({"adaptive"}), zero_retention=False)

MODELS: tuple[Takes, ...] = (
    replace(
        _OLD,
        name="claude-haiku-4-5",
        aliases=("claude-haiku-4-5-20251001",),
        cache_minimum_tokens=4096,
        prices=(1.0, 5.0),
    ),
    replace(_OLD, name="claude-sonnet-4-5", aliases=("claude-sonnet-4-5-20250929",), prices=(3.0, 15.0)),
    replace(
        _OLD,
        name="claude-opus-4-5",
        aliases=("claude-opus-4-5-20251101",),
        efforts=frozenset({"low", "medium", "high"}),
        tool_types=TOOLS_EVERYWHERE | COMPUTER_NEW,
        prices=(5.0, 25.0),
    ),
    replace(_46, name="claude-sonnet-4-6", prices=(3.0, 15.0)),
    replace(_46, name="claude-opus-4-6", speeds=FAST, prices=(5.0, 25.0)),
    replace(_47, name="claude-opus-4-7", prices=(5.0, 25.0)),
    replace(_48, name="claude-opus-4-8", speeds=FAST, prices=(5.0, 25.0)),
    replace(_5, name="claude-sonnet-5", sampling="defaults", tool_changes=False, prices=(2.0, 10.0)),
    replace(_5, name="claude-opus-5", speeds=FAST, prices=(5.0, 25.0)),
    replace(_55, name="claude-haiku-5-5", prices=(0.1, 0.5)),
    replace(
        _55,
        name="claude-sonnet-5-5",
        thinking=frozenset({"adaptive", "between_tools"}),
        forced_tool=False,
        prices=(2.0, 10.0),
    ),
    replace(
        _55,
        name="claude-opus-5-5",
        thinking=frozenset({"adaptive"}),
        forced_tool=False,
        speeds=FAST,
        prices=(4.0, 20.0),
    ),
    replace(_FABLE, name="claude-fable-5", prices=(10.0, 50.0)),
    replace(_FABLE, name="claude-fable-5-1", effort_per_message=True, forced_tool=False, prices=(10.0, 50.0)),
    replace(_FABLE, name="claude-mythos-5", prices=(10.0, 50.0)),
    replace(_FABLE, name="claude-mythos-5-1", forced_tool=False, prices=(10.0, 50.0)),
    # A model that no router can know: it must be asked for by name and nothing else.
    replace(_46, name="claude-unlisted-preview", system_role=True, prefill=True),
)

BY_NAME = {name: model for model in MODELS for name in (model.name, *model.aliases)}
