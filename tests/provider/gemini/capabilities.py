"""What each Gemini model of the stand-in takes. Written by hand from the provider's published rules.

Deliberately not imported from the product: if both came from one table, a wrong row would be wrong
on both sides and no test could see it. A model that is not here is a 404.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

ALL_LEVELS = frozenset({"MINIMAL", "LOW", "MEDIUM", "HIGH"})
NO_MINIMAL = ALL_LEVELS - {"MINIMAL"}
TOOLS_EVERYWHERE = frozenset(
    {"functionDeclarations", "googleSearch", "googleMaps", "codeExecution", "urlContext", "fileSearch"}
)
COMPUTER = TOOLS_EVERYWHERE | {"computerUse"}


@dataclass(frozen=True, slots=True)
class Takes:
    """One model's capabilities. `levels` are the accepted values of thinkingLevel, none on 2.5."""

    name: str
    aliases: tuple[str, ...] = ()
    input_tokens: int = 1_048_576
    output_tokens: int = 65_536
    levels: frozenset[str] = ALL_LEVELS
    budgets: tuple[int, int] = (0, 32_768)  # besides -1, which lets the model decide
    thinks_unasked: bool = True
    can_stop_thinking: bool = True  # thinkingBudget: 0
    signatures_required: bool = True  # on the functionCalls of the current turn
    call_ids: bool = True  # functionCall.id is issued
    function_role: bool = False  # role "function" for results
    prefill: bool = True  # the last turn may be the model's
    candidates: int = 8
    json_with_functions: bool = True  # responseMimeType application/json beside functionDeclarations
    tool_types: frozenset[str] = TOOLS_EVERYWHERE
    cache_minimum_tokens: int = 4096
    prices: tuple[float, float] = (0.0, 0.0)  # input, output, USD per million tokens


_25 = Takes(
    name="",
    levels=frozenset(),
    budgets=(0, 24_576),
    signatures_required=False,
    call_ids=False,
    function_role=True,
    json_with_functions=False,
    cache_minimum_tokens=1024,
)
_3 = Takes(name="", call_ids=False, function_role=True)
_35 = replace(_3, call_ids=True)
_36 = replace(_35, function_role=False, tool_types=COMPUTER)
_37 = replace(_36, levels=NO_MINIMAL, can_stop_thinking=False, prefill=False, candidates=1)

MODELS: tuple[Takes, ...] = (
    replace(
        _25,
        name="gemini-2.5-pro",
        budgets=(128, 32_768),
        can_stop_thinking=False,
        cache_minimum_tokens=2048,
        prices=(1.25, 10.0),
    ),
    replace(_25, name="gemini-2.5-flash", prices=(0.3, 2.5)),
    replace(
        _25, name="gemini-2.5-flash-lite", budgets=(512, 24_576), thinks_unasked=False, prices=(0.1, 0.4)
    ),
    replace(_3, name="gemini-3-flash-preview", tool_types=COMPUTER, prices=(0.5, 3.0)),
    replace(
        _3,
        name="gemini-3.1-pro-preview",
        aliases=("gemini-pro-latest",),
        levels=NO_MINIMAL,
        can_stop_thinking=False,
        prices=(2.0, 12.0),
    ),
    replace(_3, name="gemini-3.1-flash-lite", prices=(0.25, 1.5)),
    replace(_3, name="gemini-3.1-flash-lite-preview", prices=(0.25, 1.5)),
    replace(_35, name="gemini-3.5-flash", prices=(1.5, 9.0)),
    replace(_35, name="gemini-3.5-flash-lite", aliases=("gemini-flash-lite-latest",), prices=(0.3, 2.5)),
    replace(_36, name="gemini-3.6-flash", prices=(0.75, 3.75)),
    replace(_37, name="gemini-3.7-flash", prices=(0.75, 3.75)),
    replace(_37, name="gemini-3.8-flash", aliases=("gemini-flash-latest",), prices=(0.75, 3.75)),
    # A model that no router can know: it must be asked for by name and nothing else.
    replace(_36, name="gemini-unlisted-preview"),
)

BY_NAME = {name: model for model in MODELS for name in (model.name, *model.aliases)}
