"""A neutral request as one for the Responses API; see `wire/neutral.py`.

Nothing is stored at the provider, and items have no ids. What the named model cannot take is the matter of
`rules.adapt`, which comes after. Quirks of providers that copy this API:

    no_custom   knows functions only: a custom tool becomes a function of one text
    no_store    refuses store
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pointsman.wire.loose import as_dict
from pointsman.wire.neutral import (
    CallPart,
    DocumentPart,
    ImagePart,
    Message,
    Request,
    ResultPart,
    Target,
    TextPart,
    Tool,
    Written,
)
from pointsman.wire.openai_responses.request_losses import WRITING
from pointsman.wire.translation.conversation import says_something, settled
from pointsman.wire.translation.features import features
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
    most_tokens,
)

NAME_RULE: Final = NameRule(length=64)
_PATH: Final = "/responses"
_ID_LIMIT: Final = 64
_LEAST_OUTPUT: Final = 16  # the API's lower bound of max_output_tokens
_MODES: Final = {"auto": "auto", "none": "none", "any": "required"}

type Json = dict[str, Any]


def untranslatable(request: Request, target: Target) -> str:
    """Why this API cannot say the request, in words; "" if it can."""
    notes = Notes(WRITING)
    notes.refuse_all(features(request))
    return next(iter(notes.refusals), "")


def write_request(request: Request, target: Target) -> Written:
    """The request for `target`; its path goes behind the provider's base URL."""
    notes = Notes(WRITING)
    names = names_for(request, NAME_RULE)
    custom = "no_custom" not in target.quirks
    notes.lose_all(features(request) - {"strict tools", "strict answers"})  # looked at schema by schema
    body: Json = {"model": target.model}
    if system := [text for text in request.system if says_something(text)]:
        body["instructions"] = joined(system)
    body["input"] = [
        item for message in settled(request, fold=False) for item in _items(message, names, custom=custom)
    ]
    if request.tools:
        body["tools"] = [_tool(tool, names, notes, custom=custom) for tool in request.tools]
        body |= _choice(request, names, custom=custom)
    body |= _plain(request, target)
    body |= _reasoning(request)
    body |= _text(request, notes)
    if "no_store" not in target.quirks:
        body["store"] = False
    if request.stream:
        body["stream"] = True
    return Written(_PATH, body | dict(target.extra), tuple(notes.losses))


# --- the conversation ---------------------------------------------------------------------


def _items(message: Message, names: Names, *, custom: bool) -> Iterator[Json]:
    """Parts in their order; neighbours that are no calls and no results share an item."""
    role = "developer" if message.role == "system" else message.role
    said: list[Json] = []
    for part in message.parts:
        if isinstance(part, TextPart | ImagePart | DocumentPart):
            said.append(_part(part, "output_text" if role == "assistant" else "input_text"))
            continue
        if said:
            yield {"type": "message", "role": role, "content": said}
            said = []
        if isinstance(part, CallPart):
            yield _call(part, names, custom=custom)
        elif isinstance(part, ResultPart):
            yield _result(part, custom=custom)
    if said:
        yield {"type": "message", "role": role, "content": said}


def _call(call: CallPart, names: Names, *, custom: bool) -> Json:
    made = {"call_id": fitting_id(call.id, _ID_LIMIT), "name": names.of(call.namespace, call.name)}
    if call.custom and custom:
        return {"type": "custom_tool_call", **made, "input": call.arguments}
    return {"type": "function_call", **made, "arguments": arguments_text(call)}


def _result(result: ResultPart, *, custom: bool) -> Json:
    kind = "custom_tool_call_output" if result.custom and custom else "function_call_output"
    parts = [part for part in result.parts if not isinstance(part, TextPart) or says_something(part.text)]
    output: str | list[Json] = [_part(part, "input_text") for part in parts]
    if not parts:
        output = ""
    elif len(parts) == 1 and isinstance(parts[0], TextPart):
        output = parts[0].text
    return {"type": kind, "call_id": fitting_id(result.id, _ID_LIMIT), "output": output}


def _part(part: Content, text_kind: str) -> Json:
    if isinstance(part, DocumentPart) and (text := as_text_part(part)) is not None:
        part = text
    if isinstance(part, TextPart):
        return {"type": text_kind, "text": part.text}
    if isinstance(part, ImagePart):
        url = part.url or data_url(part.media_type or "image/png", part.data)
        return {"type": "input_image", "image_url": url}
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    name = part.name or "document.pdf"
    return {"type": "input_file", "filename": name, "file_data": data_url(part.media_type, part.data)}


# --- tools --------------------------------------------------------------------------------


def _tool(tool: Tool, names: Names, notes: Notes, *, custom: bool) -> Json:
    made: Json = {"type": "function", "name": names.of(tool.namespace, tool.name)}
    if tool.custom and custom:
        made |= {"type": "custom", "description": tool.description} | _format(tool)
        return {name: value for name, value in made.items() if value}
    if description := description_of(tool):
        made["description"] = description
    made["parameters"] = custom_schema() if tool.custom else of_object(tool.schema)
    # Left away, it means true here.
    made["strict"] = bool(tool.strict) and qualifies_for_strict(made["parameters"])
    if tool.strict and not made["strict"]:
        notes.lose("strict tools")
    return made


def _format(tool: Tool) -> Json:
    """Chat Completions has a grammar one level deeper."""
    if tool.format is None:
        return {}
    inner = as_dict(tool.format.get("grammar"))
    return {"format": {"type": "grammar", **inner} if inner else dict(tool.format)}


def _choice(request: Request, names: Names, *, custom: bool) -> Json:
    made: Json = {}
    if choice := request.choice:
        own = (tool.custom for tool in request.tools if tool.name == choice.name)
        kind = "custom" if custom and next(own, False) else "function"
        named = {"type": kind, "name": names.of(choice.namespace, choice.name)}
        made["tool_choice"] = named if choice.mode == "tool" else _MODES[choice.mode]
    if request.parallel_calls is not None:
        made["parallel_tool_calls"] = request.parallel_calls
    return made


# --- how it is to be answered -------------------------------------------------------------


def _plain(request: Request, target: Target) -> Json:
    made: Json = {"temperature": request.temperature, "top_p": request.top_p}
    if limit := most_tokens(request, target):
        made["max_output_tokens"] = max(limit, _LEAST_OUTPUT)
    if request.cache_key:
        made["prompt_cache_key"] = request.cache_key
    return {name: value for name, value in made.items() if value is not None}


def _reasoning(request: Request) -> Json:
    effort = effort_of(request.reasoning)
    made: Json = {"effort": effort} if effort is not None else {}
    if request.reasoning.shown and effort != "none":
        made["summary"] = "auto"
    return {"reasoning": made} if made else {}


def _text(request: Request, notes: Notes) -> Json:
    made: Json = {}
    answer = request.json
    if answer is not None and answer.schema is None:
        made["format"] = {"type": "json_object"}
    elif answer is not None and answer.schema is not None:
        strict = bool(answer.strict) and qualifies_for_strict(answer.schema)
        if answer.strict and not strict:
            notes.lose("strict answers")
        schema = dict(answer.schema)
        form = {"type": "json_schema", "name": format_name(answer), "schema": schema, "strict": strict}
        made["format"] = form
    if request.verbosity is not None:
        made["verbosity"] = request.verbosity
    return {"text": made} if made else {}
