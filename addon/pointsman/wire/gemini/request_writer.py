"""A neutral request as one of Gemini's; see `wire/neutral.py`.

Results belong to calls by their order, so calls have no ids here. From Gemini 3 on the first call of a step
must carry a signature: every one gets the word that Google documents for calls that its model did not make,
in every turn alike, so that the history keeps its bytes. What the named model cannot take is the matter of
`rules.adapt`, which comes after.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from pointsman.wire.gemini.request_losses import WRITING
from pointsman.wire.gemini.signatures import SKIP
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
from pointsman.wire.translation.conversation import says_something, settled
from pointsman.wire.translation.features import features
from pointsman.wire.translation.losses import Notes
from pointsman.wire.translation.names import NameRule, Names, names_for
from pointsman.wire.translation.schemas import for_google, of_object
from pointsman.wire.translation.values import (
    Content,
    arguments_object,
    as_text_part,
    custom_schema,
    description_of,
    joined,
    most_tokens,
)

NAME_RULE: Final = NameRule(length=64, letter_first=True)
_MOST_STOPS: Final = 5
_DYNAMIC: Final = -1  # a budget that leaves it to the model
_LEVELS: Final = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM"}
_MODES: Final = {"auto": "AUTO", "none": "NONE", "any": "ANY", "tool": "ANY"}

type Json = dict[str, Any]


def authorize(secret: str) -> dict[str, str]:
    """The header that carries a key. "": a provider without keys."""
    return {"x-goog-api-key": secret} if secret else {}


def untranslatable(request: Request, target: Target) -> str:
    """Why this API cannot say the request, in words; "" if it can."""
    notes = Notes(WRITING)
    notes.refuse_all(features(request))
    if len(request.stop) > _MOST_STOPS:
        notes.refuse("many stop sequences")
    return next(iter(notes.refusals), "")


def write_request(request: Request, target: Target) -> Written:
    """The request for `target`; its path goes behind the provider's base URL."""
    notes = Notes(WRITING)
    names = names_for(request, NAME_RULE)
    notes.lose_all(features(request))
    body: Json = {
        "contents": [
            content for message in settled(request, fold=True) for content in _contents(message, names)
        ]
    }
    if system := [text for text in request.system if says_something(text)]:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_function(tool, names, notes) for tool in request.tools]}]
        body |= _choice(request, names)
    if config := _config(request, target, notes):
        body["generationConfig"] = config
    verb = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    path = f"/models/{quote(target.model, safe='')}:{verb}"
    return Written(path, body | dict(target.extra), tuple(notes.losses))


# --- the conversation ---------------------------------------------------------------------


def _contents(message: Message, names: Names) -> Iterator[Json]:
    """Results stand alone; what came with them follows in a content of its own."""
    results = [part for part in message.parts if isinstance(part, ResultPart)]
    others: list[Json] = []
    for result in results:
        others += _shown(result)
    called = False
    for part in message.parts:
        if isinstance(part, CallPart):
            call = {"name": names.of(part.namespace, part.name), "args": arguments_object(part)}
            others.append({"functionCall": call} | ({} if called else {"thoughtSignature": SKIP}))
            called = True
        elif isinstance(part, TextPart | ImagePart | DocumentPart):
            others.append(_part(part))
    if results:
        yield {"role": "user", "parts": [_result(result, names) for result in results]}
    if others:
        yield {"role": "model" if message.role == "assistant" else "user", "parts": others}


def _result(result: ResultPart, names: Names) -> Json:
    texts = [text.text for part in result.parts if (text := _as_text(part)) and says_something(text.text)]
    said = {"error" if result.error else "output": joined(texts)}
    return {"functionResponse": {"name": names.of(result.namespace, result.name), "response": said}}


def _shown(result: ResultPart) -> Iterator[Json]:
    others = [part for part in result.parts if _as_text(part) is None]
    if others:
        yield {"text": f"(The tool `{result.name}` gave this back:)"}
        yield from (_part(part) for part in others)


def _as_text(part: Content) -> TextPart | None:
    if isinstance(part, TextPart):
        return part
    return as_text_part(part) if isinstance(part, DocumentPart) else None


def _part(part: Content) -> Json:
    if text := _as_text(part):
        return {"text": text.text}
    assert not isinstance(part, TextPart)
    kind = part.media_type or ("image/png" if isinstance(part, ImagePart) else "application/pdf")
    return {"inlineData": {"mimeType": kind, "data": part.data}}


# --- tools --------------------------------------------------------------------------------


def _function(tool: Tool, names: Names, notes: Notes) -> Json:
    made: Json = {"name": names.of(tool.namespace, tool.name)}
    if description := description_of(tool):
        made["description"] = description
    schema = custom_schema() if tool.custom else of_object(tool.schema)
    made["parametersJsonSchema"] = for_google(schema)
    if made["parametersJsonSchema"] != schema:
        notes.lose("keywords in schemas")
    return made


def _choice(request: Request, names: Names) -> Json:
    choice = request.choice
    if choice is None:
        return {}
    calling: Json = {"mode": _MODES[choice.mode]}
    if choice.mode == "tool":
        calling["allowedFunctionNames"] = [names.of(choice.namespace, choice.name)]
    return {"toolConfig": {"functionCallingConfig": calling}}


# --- how it is to be answered -------------------------------------------------------------


def _config(request: Request, target: Target, notes: Notes) -> Json:
    made: Json = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "maxOutputTokens": most_tokens(request, target),
        "stopSequences": list(request.stop) or None,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        "thinkingConfig": _thinking(request) or None,
    }
    if request.json is not None:
        made["responseMimeType"] = "application/json"
        if request.json.schema is not None:
            made["responseJsonSchema"] = for_google(request.json.schema)
            if made["responseJsonSchema"] != request.json.schema:
                notes.lose("keywords in schemas")
    return {name: value for name, value in made.items() if value is not None}


def _thinking(request: Request) -> Json:
    """A level for an effort, a budget for a budget; `rules.adapt` writes the one that the model has."""
    asked = request.reasoning
    made: Json = {"includeThoughts": True} if asked.shown else {}
    if asked.on is False or asked.effort == "none":
        return {"thinkingBudget": 0}
    if asked.effort is not None:
        made["thinkingLevel"] = _LEVELS.get(asked.effort, "HIGH")
    elif asked.budget_tokens is not None:
        made["thinkingBudget"] = asked.budget_tokens
    elif asked.on:
        made["thinkingBudget"] = _DYNAMIC
    return made
