"""A neutral request as one of Anthropic's; see `wire/neutral.py`.

What the named model cannot take is the matter of `rules.adapt`, which comes after. Quirks of providers that
copy this API:

    no_cache_control   refuses cache_control
    thinking_budget    knows thinking by a budget only
    no_output_format   has no `output_config.format`: the model is told what to answer
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pointsman.wire.anthropic.request_losses import WRITING
from pointsman.wire.neutral import (
    CallPart,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    Request,
    ResultPart,
    Target,
    TextPart,
    Tool,
    Written,
)
from pointsman.wire.translation.conversation import (
    begins_answer,
    in_tool_loop,
    says_something,
    settled,
)
from pointsman.wire.translation.features import documents, features
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.names import NameRule, Names, fitting_id, names_for
from pointsman.wire.translation.schemas import closed, is_bounded, of_object
from pointsman.wire.translation.values import (
    BUDGET_OF,
    Content,
    arguments_object,
    custom_schema,
    description_of,
    effort_of,
    json_instruction,
    most_tokens,
    text_of,
)

NAME_RULE: Final = NameRule(length=64)
VERSION: Final = "2023-06-01"
_PATH: Final = "/v1/messages"
_ID_LIMIT: Final = 64
_LEAST_BUDGET: Final = 1024  # the API's own lower bound
_CACHED: Final = {"type": "ephemeral"}
_CACHED_MESSAGES: Final = 2

type Json = dict[str, Any]


def authorize(secret: str) -> dict[str, str]:
    """Headers that carry a key, and those without which nothing is answered. "": a provider without keys."""
    return {"anthropic-version": VERSION} | ({"x-api-key": secret} if secret else {})


def untranslatable(request: Request, target: Target) -> str:
    """Why this API cannot say the request, in words; "" if it can."""
    notes = Notes(WRITING)
    for document in documents(request):
        if not _taken(document):
            notes.refuse("documents", document.media_type)
    return next(iter(notes.refusals), "")


def write_request(request: Request, target: Target) -> Written:
    """The request for `target`; its path goes behind the provider's base URL."""
    notes = Notes(WRITING)
    names = names_for(request, NAME_RULE)
    messages = settled(request, fold=True)
    notes.lose_all(features(request))
    told = _told(request, target)
    body: Json = {"model": target.model, "max_tokens": most_tokens(request, target) or target.max_tokens}
    if system := [text for text in (*request.system, *told) if says_something(text)]:
        body["system"] = [{"type": "text", "text": text} for text in system]
    last = len(messages) - 1
    body["messages"] = [_message(message, names, at == last) for at, message in enumerate(messages)]
    if tools := _tools(request, messages, names):
        body["tools"] = tools
        body |= _choice(request, names)
    body |= _thinking(request, target, messages, body["max_tokens"], notes)
    body |= _format(request, target, body.get("output_config") or {}, notes)
    body |= _sampling(request, body, notes)
    if request.stop:
        body["stop_sequences"] = [text for text in request.stop if says_something(text)]
    if request.stream:
        body["stream"] = True
    if "no_cache_control" not in target.quirks:
        _mark(body)
    return Written(_PATH, body | dict(target.extra), tuple(notes.losses))


# --- the conversation ---------------------------------------------------------------------


def _message(message: Message, names: Names, last: bool) -> Json:
    content = [block for part in message.parts for block in _blocks(part, names)]
    if last and message.role == "assistant" and content and content[-1]["type"] == "text":
        content[-1]["text"] = content[-1]["text"].rstrip()  # a prefilled answer may not end in blanks
    return {"role": message.role, "content": content}


def _blocks(part: Part, names: Names) -> Iterator[Json]:
    if isinstance(part, CallPart):
        name = names.of(part.namespace, part.name)
        call_id = fitting_id(part.id, _ID_LIMIT)
        yield {"type": "tool_use", "id": call_id, "name": name, "input": arguments_object(part)}
    elif isinstance(part, ResultPart):
        yield _result(part)
    elif isinstance(part, TextPart | ImagePart | DocumentPart):
        yield _block(part)


def _result(result: ResultPart) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": fitting_id(result.id, _ID_LIMIT)}
    parts = [part for part in result.parts if not isinstance(part, TextPart) or says_something(part.text)]
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        block["content"] = parts[0].text
    elif parts:
        block["content"] = [_block(part) for part in parts]
    return block | ({"is_error": True} if result.error else {})


def _block(part: Content) -> Json:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if part.url:
        source: Json = {"type": "url", "url": part.url}
    elif isinstance(part, DocumentPart) and (text := text_of(part)) is not None:
        source = {"type": "text", "media_type": "text/plain", "data": text}
    else:
        source = {"type": "base64", "media_type": part.media_type or "image/png", "data": part.data}
    if isinstance(part, ImagePart):
        return {"type": "image", "source": source}
    return {"type": "document", "source": source} | ({"title": part.name} if part.name else {})


def _taken(document: DocumentPart) -> bool:
    return bool(document.url) or document.media_type == "application/pdf" or text_of(document) is not None


# --- tools --------------------------------------------------------------------------------


def _tools(request: Request, messages: Sequence[Message], names: Names) -> list[Json]:
    """Calls in the history need tools beside them, even where the client offers none any more."""
    if request.tools:
        return [_tool(tool, names) for tool in request.tools]
    called = {part.name: part for m in messages for part in m.parts if isinstance(part, CallPart)}
    return [_tool(Tool(part.name, namespace=part.namespace), names) for part in called.values()]


def _tool(tool: Tool, names: Names) -> Json:
    made: Json = {"name": names.of(tool.namespace, tool.name)}
    if description := description_of(tool):
        made["description"] = description
    return made | {"input_schema": custom_schema() if tool.custom else of_object(tool.schema)}


def _choice(request: Request, names: Names) -> Json:
    choice = request.choice
    mode = "none" if not request.tools else choice.mode if choice else None
    if mode is None and request.parallel_calls is not False:
        return {}
    made: Json = {"type": mode or "auto"}
    if choice is not None and mode == "tool":
        made["name"] = names.of(choice.namespace, choice.name)
    if request.parallel_calls is False and mode != "none":
        made["disable_parallel_tool_use"] = True
    return {"tool_choice": made}


# --- how it is to be answered -------------------------------------------------------------


def _thinking(
    request: Request, target: Target, messages: Sequence[Message], limit: int, notes: Notes
) -> Json:
    """Adaptive, with the effort if one was asked for; `rules.adapt` makes a budget of it for older models."""
    asked = request.reasoning
    effort = effort_of(asked)
    if effort is None:
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    forced = request.tools and request.choice and request.choice.mode in ("any", "tool")
    if forced or begins_answer(messages):
        notes.lose("thinking with a forced tool")
        return {}
    if "thinking_budget" in target.quirks:
        budget = min(asked.budget_tokens or BUDGET_OF.get(effort, BUDGET_OF["high"]), limit // 2)
        # With a budget an open tool loop has to begin with its thinking, and there is none that was signed.
        if budget < _LEAST_BUDGET or in_tool_loop(messages):
            return {"thinking": {"type": "disabled"}}
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    shown = {"display": "summarized"} if asked.shown else {}
    said = asked.effort is not None or asked.budget_tokens is not None
    word = "low" if effort == "minimal" else effort
    return {"thinking": {"type": "adaptive", **shown}} | ({"output_config": {"effort": word}} if said else {})


def _told(request: Request, target: Target) -> tuple[str, ...]:
    """JSON without a schema is nothing that this API could be asked for."""
    if request.json is None:
        return ()
    if request.json.schema is not None and "no_output_format" not in target.quirks:
        return ()
    return (json_instruction(request.json),)


def _format(request: Request, target: Target, config: Json, notes: Notes) -> Json:
    schema = request.json.schema if request.json else None
    if schema is None or "no_output_format" in target.quirks:
        return {}
    if is_bounded(schema):
        notes.lose("bounds in answers")
    return {"output_config": {**config, "format": {"type": "json_schema", "schema": closed(schema)}}}


def _sampling(request: Request, body: Json, notes: Notes) -> Json:
    given = {name: getattr(request, name) for name in ("temperature", "top_p", "top_k")}
    given = {name: value for name, value in given.items() if value is not None}
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        if given:
            notes.lose("sampling while thinking")
        return {}
    if given.get("temperature", 0) > 1:
        given["temperature"] = 1
    return given


# --- the prompt cache ---------------------------------------------------------------------


def _mark(body: Json) -> None:
    """Break points at the end of the instructions (tools come before them) and of the newest messages.

    So each step of a session reads what the one before it wrote. The API takes four.
    """
    ends = [body[name][-1] for name in ("system", "tools") if body.get(name)][:1]
    users = [message for message in body["messages"] if message["role"] == "user"]
    ends += [message["content"][-1] for message in users[-_CACHED_MESSAGES:]]
    for block in ends:
        block["cache_control"] = dict(_CACHED)
