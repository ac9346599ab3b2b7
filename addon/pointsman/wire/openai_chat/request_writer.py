"""A neutral request as one for Chat Completions; see `wire/neutral.py`.

What the named model cannot take is the matter of `rules.adapt`, which comes after. Quirks of providers that
copy this API:

    max_tokens          knows the limit of the answer by its old name
    no_stream_options   refuses stream_options (its streams have usage, or none)
    no_effort           refuses reasoning_effort
    openrouter          is told how much to think by a member `reasoning`
    thinking_switch     knows thinking on and off only: `thinking: {"type": "enabled" | "disabled"}`
    reasoning_content   wants what it thought back in its messages (DeepSeek, Moonshot)
    no_strict           refuses `strict` of tools and answers
    no_json_schema      has answers in JSON, but no schema for them: the model is told
    no_parallel         refuses parallel_tool_calls
    random_seed         calls the seed so (Mistral)
    top_k, verbosity    takes these
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pointsman.wire.neutral import (
    CallPart,
    DocumentPart,
    ImagePart,
    Message,
    Request,
    ResultPart,
    Target,
    TextPart,
    ThinkingPart,
    Tool,
    Written,
)
from pointsman.wire.openai_chat.copies import NO_THOUGHT
from pointsman.wire.openai_chat.request_losses import WRITING
from pointsman.wire.translation.conversation import says_something, settled
from pointsman.wire.translation.features import documents, features
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.names import NameRule, Names, fitting_id, names_for
from pointsman.wire.translation.schemas import of_object, qualifies_for_strict
from pointsman.wire.translation.values import (
    Content,
    arguments_text,
    as_text_part,
    custom_schema,
    data_url,
    description_of,
    effort_of,
    format_name,
    joined,
    json_instruction,
    most_tokens,
)

NAME_RULE: Final = NameRule(length=64)
_PATH: Final = "/chat/completions"
_ID_LIMIT: Final = 40
_MOST_STOPS: Final = 4
_MODES: Final = {"auto": "auto", "none": "none", "any": "required"}
_EXTRAS: Final = ("top_k", "verbosity")  # quirks that are the names of members too

type Json = dict[str, Any]


def untranslatable(request: Request, target: Target) -> str:
    """Why this API cannot say the request, in words; "" if it can."""
    notes = Notes(WRITING)
    notes.refuse_all(features(request))
    for document in documents(request):
        if not document.url and document.media_type != "application/pdf" and as_text_part(document) is None:
            notes.refuse("documents", document.media_type)
    if len(request.stop) > _MOST_STOPS:
        notes.refuse("many stop sequences")
    return next(iter(notes.refusals), "")


def write_request(request: Request, target: Target) -> Written:
    """The request for `target`; its path goes behind the provider's base URL."""
    notes = Notes(WRITING)
    names = names_for(request, NAME_RULE)
    returns = "reasoning_content" in target.quirks
    notes.lose_all(features(request) - _not_lost(target))
    told = _told(request, target)
    messages: list[Json] = []
    if system := [text for text in (*request.system, *told) if says_something(text)]:
        messages.append({"role": "system", "content": joined(system)})
    for message in settled(request, fold=True, thinking=returns):
        messages += _messages(message, names, returns=returns)
    body: Json = {"model": target.model, "messages": messages}
    if request.tools:
        body["tools"] = [_tool(tool, names, target, notes) for tool in request.tools]
        body |= _choice(request, names, target)
    body |= _plain(request, target)
    body |= _reasoning(request, target)
    body |= _format(request, target, notes)
    if request.stream:
        body["stream"] = True
        if "no_stream_options" not in target.quirks:
            body["stream_options"] = {"include_usage": True}
    return Written(_PATH, body | dict(target.extra), tuple(notes.losses))


def _not_lost(target: Target) -> set[str]:
    """Features that this provider has, by its quirks; `strict` is looked at schema by schema."""
    kept = {"strict tools", "strict answers", *target.quirks.intersection(_EXTRAS)}
    if "reasoning_content" in target.quirks:
        kept.add("thinking")
    if "no_parallel" not in target.quirks:
        kept.add("parallel_calls")
    return kept


# --- the conversation ---------------------------------------------------------------------


def _messages(message: Message, names: Names, *, returns: bool) -> Iterator[Json]:
    if message.role == "assistant":
        yield from _assistant(message, names, returns=returns)
        return
    after: list[Content] = []
    for part in message.parts:
        if isinstance(part, ResultPart):
            yield _result(part)
            after += _shown(part)
        elif isinstance(part, TextPart | ImagePart | DocumentPart):
            after.append(part)
    if after:
        yield {"role": "user", "content": _content(after)}


def _assistant(message: Message, names: Names, *, returns: bool) -> Iterator[Json]:
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    calls = [part for part in message.parts if isinstance(part, CallPart)]
    thoughts = [part.text for part in message.parts if isinstance(part, ThinkingPart)]
    if not texts and not calls:
        return
    made: Json = {"role": "assistant", "content": joined(texts) if texts else None}
    if returns and (thoughts or calls):
        made["reasoning_content"] = joined(thoughts) if thoughts else NO_THOUGHT
    if calls:
        made["tool_calls"] = [_call(call, names) for call in calls]
    yield made


def _call(call: CallPart, names: Names) -> Json:
    function = {"name": names.of(call.namespace, call.name), "arguments": arguments_text(call)}
    return {"id": fitting_id(call.id, _ID_LIMIT), "type": "function", "function": function}


def _result(result: ResultPart) -> Json:
    texts = [text.text for part in result.parts if (text := _as_text(part)) and says_something(text.text)]
    return {"role": "tool", "tool_call_id": fitting_id(result.id, _ID_LIMIT), "content": joined(texts)}


def _shown(result: ResultPart) -> Iterator[Content]:
    """What a tool's message cannot hold, for the user's message after it."""
    others = [part for part in result.parts if _as_text(part) is None]
    if others:
        yield TextPart(f"(The tool `{result.name}` gave this back:)")
        yield from others


def _content(parts: Sequence[Content]) -> str | list[Json]:
    texts = [_as_text(part) for part in parts]
    if all(texts):
        return joined(text.text for text in texts if text)
    return [_part(text or part) for text, part in zip(texts, parts, strict=True)]


def _as_text(part: Content) -> TextPart | None:
    if isinstance(part, TextPart):
        return part
    return as_text_part(part) if isinstance(part, DocumentPart) else None


def _part(part: Content) -> Json:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        url = part.url or data_url(part.media_type or "image/png", part.data)
        return {"type": "image_url", "image_url": {"url": url}}
    file = {"filename": part.name or "document.pdf", "file_data": data_url(part.media_type, part.data)}
    return {"type": "file", "file": file}


# --- tools --------------------------------------------------------------------------------


def _tool(tool: Tool, names: Names, target: Target, notes: Notes) -> Json:
    function: Json = {"name": names.of(tool.namespace, tool.name)}
    if description := description_of(tool):
        function["description"] = description
    function["parameters"] = custom_schema() if tool.custom else of_object(tool.schema)
    if tool.strict is not None and "no_strict" not in target.quirks:
        function["strict"] = tool.strict and qualifies_for_strict(function["parameters"])
    if tool.strict and not function.get("strict"):
        notes.lose("strict tools")
    return {"type": "function", "function": function}


def _choice(request: Request, names: Names, target: Target) -> Json:
    made: Json = {}
    if choice := request.choice:
        named = {"type": "function", "function": {"name": names.of(choice.namespace, choice.name)}}
        made["tool_choice"] = named if choice.mode == "tool" else _MODES[choice.mode]
    if request.parallel_calls is not None and "no_parallel" not in target.quirks:
        made["parallel_tool_calls"] = request.parallel_calls
    return made


# --- how it is to be answered -------------------------------------------------------------


def _plain(request: Request, target: Target) -> Json:
    made: Json = {}
    limit = most_tokens(request, target)
    made["max_tokens" if "max_tokens" in target.quirks else "max_completion_tokens"] = limit
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        made[name] = getattr(request, name)
    made["random_seed" if "random_seed" in target.quirks else "seed"] = request.seed
    made["stop"] = list(request.stop) or None
    for name in target.quirks.intersection(_EXTRAS):
        made[name] = getattr(request, name)
    return {name: value for name, value in made.items() if value is not None}


def _reasoning(request: Request, target: Target) -> Json:
    effort = effort_of(request.reasoning)
    if effort is None:
        return {}
    if "openrouter" in target.quirks:
        budget = request.reasoning.budget_tokens
        by_budget = budget is not None and request.reasoning.effort is None and effort != "none"
        return {"reasoning": {"max_tokens": budget} if by_budget else {"effort": effort}}
    if "thinking_switch" in target.quirks:
        return {"thinking": {"type": "disabled" if effort == "none" else "enabled"}}
    return {} if "no_effort" in target.quirks else {"reasoning_effort": effort}


def _told(request: Request, target: Target) -> tuple[str, ...]:
    schema = request.json.schema if request.json else None
    if request.json is None or schema is None or "no_json_schema" not in target.quirks:
        return ()
    return (json_instruction(request.json),)


def _format(request: Request, target: Target, notes: Notes) -> Json:
    answer = request.json
    if answer is None:
        return {}
    if answer.schema is None or "no_json_schema" in target.quirks:
        return {"response_format": {"type": "json_object"}}
    made: Json = {"name": format_name(answer), "schema": dict(answer.schema)}
    strict = answer.strict and qualifies_for_strict(answer.schema)
    if answer.strict and not strict:
        notes.lose("strict answers")
    if answer.strict is not None and "no_strict" not in target.quirks:
        made["strict"] = strict
    return {"response_format": {"type": "json_schema", "json_schema": made}}
