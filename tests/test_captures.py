"""What real clients sent and got, replayed: each request rewritten for each model that can take it, each
answer given back marked; field by field nothing else may differ.

The captures were taken with another marker, which is replaced by ours; what must come out is worked out
here with plain JSON, not with the product's readers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pointsman.catalogue import Catalogue
from pointsman.surface import Surface, surfaces
from pointsman.values import Changes, CredentialKind, Facts, Model
from pointsman.wire import marker
from pointsman.wire.json_spans import Body, encode

CAPTURES = Path(__file__).resolve().parents[2] / "shared" / "captures"
MARKER = marker.make("model-b", "best for this kind of prompt")
FOREIGN = re.compile("✦ routed → [^\n]*(?:\n\n)?")
GONE = object()
SALT = b"salt"

Json = Any


def _entries() -> Iterator[Any]:
    if not CAPTURES.is_dir():
        yield pytest.param(None, marks=pytest.mark.skip("the captures of real clients are not here"))
        return
    for path in sorted(CAPTURES.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            entry = json.loads(line)
            if entry["kind"] == "http" and entry["method"] == "POST":
                yield pytest.param(entry, id=f"{path.stem}-{number}")


ENTRIES = list(_entries())


def only(kind: type) -> list[Any]:
    """The entries whose answer is of this kind: text is a stream."""
    return [e for e in ENTRIES if e.values[0] is None or isinstance(e.values[0]["response"]["body"], kind)]


def surface_of(entry: Json) -> tuple[Surface, str]:
    found = [
        (surface, endpoint)
        for surface in surfaces().values()
        if entry["host"] in surface.HOSTS and (endpoint := surface.recognise(entry["method"], entry["path"]))
    ]
    assert len(found) == 1, f"{entry['host']}{entry['path']} is spoken by {found}"
    return found[0]


def headers_of(entry: Json) -> dict[str, str]:
    return {name.lower(): value for name, value in entry["headers"]}


# --- what should come out, by plain JSON ----------------------------------------------------


def with_our_marker(value: Json) -> Json:
    if isinstance(value, str):
        return FOREIGN.sub(lambda found: MARKER, value) if value.startswith("✦ routed") else value
    if isinstance(value, list):
        return [with_our_marker(item) for item in value]
    if isinstance(value, dict):
        return {key: with_our_marker(item) for key, item in value.items()}
    return value


def without_marker(value: Json) -> Json:
    """The same without it; what said nothing else is gone altogether, with the message around it."""
    if isinstance(value, str):
        rest = value.removeprefix(MARKER).removeprefix(MARKER.rstrip("\n"))
        return GONE if rest == "" and value else rest
    if isinstance(value, list):
        kept = [new for item in value if (new := without_marker(item)) is not GONE]
        return kept if kept or not value else GONE
    if isinstance(value, dict):
        new = {key: without_marker(item) for key, item in value.items()}
        return GONE if any(item is GONE for item in new.values()) else new
    return value


def markers_in(value: Json) -> int:
    return json.dumps(value, ensure_ascii=False).count("Pointsman")


def differences(before: Json, after: Json, path: str = "") -> Iterator[str]:
    """Where two JSON values differ, as dotted paths with [] for any place in an array."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from differences(before.get(key, GONE), after.get(key, GONE), f"{path}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from differences(one, other, f"{path}[]")
    elif before != after or type(before) is not type(after):
        yield path


# --- requests -------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_request_reaches_another_model_with_nothing_else_changed(entry: Json) -> None:
    surface, endpoint = surface_of(entry)
    sent = with_our_marker(entry["body"])
    expected = without_marker(sent)
    catalogue = Catalogue.load()
    facts = None
    targets = [row for row in catalogue.models if row.target]
    served = 0
    for target in targets:
        body = Body.parse(encode(sent))
        assert surface.strip(body) == markers_in(sent)
        assert json.loads(body.render()) == expected
        facts = facts or surface.read_facts(body, headers_of(entry), entry["path"], endpoint)
        own = catalogue.resolve(facts.requested_model)
        assert own is not None, facts.requested_model
        if target is own or target.provider != own.provider or surface.ineligible(facts, target):
            continue
        served += 1
        known = replace(facts, thinking_default=own.capabilities.get("thinking_default"))
        _check_rewrite(surface, body, entry["path"], known, target, expected)
    assert served, "no other model can take what this client really sends"


def _check_rewrite(
    surface: Surface, body: Body, path: str, facts: Facts, target: Model, expected: Json
) -> None:
    """Only the model, and what is named as adapted or asked for, may differ."""
    changed = [*surface.adapt(body, facts, target), *surface.ask(body, facts)]
    named = surface.set_model(body, path, target.name)
    if named != path:
        assert named == path.replace(f"/{facts.requested_model}:", f"/{target.name}:")
    allowed = ["model", *(item.parameter for item in changed)]
    for where in differences(expected, json.loads(body.render())):
        assert any(_covers(name, where) for name in allowed), f"{where} is not among {allowed}"


def _covers(parameter: str, where: str) -> bool:
    """Is this place the parameter, inside it, or what holds it and has grown or shrunk by it?"""
    one, other = f"{where}.", f"{parameter}."
    return one.startswith((other, f"{parameter}[")) or other.startswith((one, f"{where}["))


@pytest.mark.parametrize("entry", ENTRIES)
def test_facts_are_read(entry: Json) -> None:
    surface, endpoint = surface_of(entry)
    headers = headers_of(entry)
    facts = surface.read_facts(Body.parse(encode(entry["body"])), headers, entry["path"], endpoint)
    assert facts.surface == surface.SURFACE
    assert facts.requested_model and facts.client != "" and facts.input_tokens_estimate > 0
    assert facts.first_user_text, "no words of the user were found"
    credential = surface.credential(headers, entry["path"], SALT)
    assert credential.kind is not CredentialKind.NONE


# --- answers --------------------------------------------------------------------------------

CHANGES = Changes("model-asked-for", MARKER, None, {"decision": "d1"})


def events_of(stream: str) -> list[Json]:
    """The data of each event; `[DONE]` stays a string."""
    found = (item.strip() for item in re.findall(r"^data: ?(.*)$", stream, re.MULTILINE))
    return [item if item == "[DONE]" else json.loads(item) for item in found]


def unmarked_anthropic(events: list[Json]) -> list[Json]:
    start, delta, stop = events[1:4]
    assert (start["index"], start["type"], stop["type"]) == (0, "content_block_start", "content_block_stop")
    assert delta["delta"]["text"] == MARKER
    rest = [events[0], *events[4:]]
    return [{**event, "index": event["index"] - 1} if "index" in event else event for event in rest]


def unmarked_chat(events: list[Json]) -> list[Json]:
    at = next(at for at, event in enumerate(events) if "Pointsman" in json.dumps(event))
    assert events[at]["choices"][0]["delta"]["content"] == MARKER
    assert events[at]["id"] == events[at + 1]["id"]
    return events[:at] + events[at + 1 :]


def unmarked_responses(events: list[Json]) -> list[Json]:
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    at = next(at for at, event in enumerate(events) if event["type"] == "response.output_item.added")
    item = events[at]["item"]["id"]
    assert all(event.get("item_id", event.get("item", {}).get("id")) == item for event in events[at : at + 6])
    rest = events[:at] + events[at + 6 :]
    for event in rest[at:]:
        event["sequence_number"] -= 6
        if "output_index" in event:
            event["output_index"] -= 1
        if output := event.get("response", {}).get("output"):
            assert output.pop(0)["content"][0]["text"] == MARKER
    return rest


def unmarked_gemini(events: list[Json]) -> list[Json]:
    candidate = events[0]["candidates"][0]
    assert candidate["content"]["parts"] == [{"text": MARKER}]
    assert "finishReason" not in candidate
    return events[1:]


UNMARKED = {
    "anthropic": unmarked_anthropic,
    "openai_chat": unmarked_chat,
    "openai_responses": unmarked_responses,
    "gemini": unmarked_gemini,
}


def as_asked(value: Json) -> Json:
    """The provider's answer as far as the client may see it: it names the model that was asked for."""
    return mapped(value, lambda key, item: "model-asked-for" if key in ("model", "modelVersion") else item)


def without_decision(value: Json) -> Json:
    return mapped(value, lambda key, item: GONE if key == "x_router" else item)


def mapped(value: Json, change: Callable[[str, Json], Json]) -> Json:
    if isinstance(value, list):
        return [mapped(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    new = {key: change(key, mapped(item, change)) for key, item in value.items()}
    return {key: item for key, item in new.items() if item is not GONE}


def content_type(entry: Json) -> str:
    headers = {name.lower(): value for name, value in entry["response"]["headers"]}
    return headers.get("content-type", "")


@pytest.mark.parametrize("entry", only(str))
def test_a_stream_differs_in_the_marker_and_the_models_name(entry: Json) -> None:
    surface, endpoint = surface_of(entry)
    body = Body.parse(encode(entry["body"]))
    facts = surface.read_facts(body, headers_of(entry), entry["path"], endpoint)
    given = entry["response"]["body"].encode()
    outcomes = {}
    for size in (len(given), 1, 7, 1000):
        transform = surface.stream(content_type(entry), facts, CHANGES)
        assert transform is not None
        chunks = [given[at : at + size] for at in range(0, len(given), size)]
        pieces = [piece for chunk in chunks for piece in transform.feed(chunk)]
        outcomes[b"".join(pieces + transform.flush())] = transform.observation
    assert len(outcomes) == 1, "how the bytes are split changes what comes out"
    (out, seen), *_ = outcomes.items()
    events = without_decision(events_of(out.decode()))
    assert UNMARKED[surface.SURFACE](events) == as_asked(events_of(given.decode()))
    assert seen.complete and seen.error is None and seen.message_id

    silent = surface.stream(content_type(entry), facts, Changes())
    assert silent is not None
    assert b"".join(silent.feed(given) + silent.flush()) == given
    assert silent.observation == seen


@pytest.mark.parametrize("entry", only(dict))
def test_a_whole_answer_differs_in_the_marker_and_the_models_name(entry: Json) -> None:
    surface, endpoint = surface_of(entry)
    given = entry["response"]["body"]
    out = json.loads(surface.rewrite_body(encode(given), CHANGES))
    if endpoint != "generate":
        assert out == given
        return
    seen = surface.observe_body(encode(given))
    assert seen.complete and seen.message_id
    assert None not in (seen.to_usage().input_tokens, seen.to_usage().output_tokens)
    assert json.dumps(out, ensure_ascii=False).count("Pointsman") == 1
    out = without_decision(out)
    if surface.SURFACE == "openai_responses":
        assert out["output"].pop(0)["content"][0]["text"] == MARKER
    for choice in out.get("choices", []):
        if choice["message"]["content"] == MARKER:  # beside tool calls there was nothing
            choice["message"]["content"] = None
    assert without_marker(out) == as_asked(given)
