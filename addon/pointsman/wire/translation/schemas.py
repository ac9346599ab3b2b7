"""JSON Schema, as the APIs differ about it. All functions return new values and keep the order of members.

OpenAI's strict mode and Anthropic's formats want every object closed; strict mode wants every property
required. Both refuse keywords that bound values. Google reads a list of keywords, and its own older schemas
have types in capitals and `nullable`. (Structured outputs: OpenAI's guide, Anthropic's page; Google's
reference of `parametersJsonSchema`, November 2026.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.wire.loose import as_dict, as_list, dicts

EMPTY_OBJECT: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}

_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")
_TOP: Final = ("type", *_ALTERNATIVES)
_DEPTH: Final = 64  # deeper, a schema is left as it is
_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas", "defs")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE: Final = ("items", "not", "if", "then", "else", "contains", "propertyNames", "additionalProperties")

# What an answer's schema may not say at Anthropic's; the constraint is lost, its place in the answer is not.
_UNBOUNDED: Final = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties", "propertyNames",
    "minContains", "maxContains", "contains", "not", "if", "then", "else", "dependentRequired", "$schema",
    "$id", "$comment", "examples", "encrypted",
})  # fmt: skip
_NOTES: Final = frozenset({"$schema", "$id", "$comment", "examples", "encrypted"})
_STRICT: Final = frozenset({
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref",
    "$defs", "definitions", "description", "title", "pattern", "format", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
})  # fmt: skip
_GOOGLE: Final = frozenset({
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items",
    "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties",
    "additionalProperties", "required", "propertyOrdering",
})  # fmt: skip

type _Change = Callable[[dict[str, Any]], dict[str, Any]]


def _mapped(schema: Any, change: _Change, depth: int = 0) -> Any:
    """`change` done to every schema inside, innermost first."""
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return schema
    new = dict(schema)
    for name, value in new.items():
        if name in _MAPS and isinstance(value, Mapping):
            new[name] = {key: _mapped(item, change, depth + 1) for key, item in value.items()}
        elif name in _LISTS and isinstance(value, list):
            new[name] = [_mapped(item, change, depth + 1) for item in value]
        elif name in _SINGLE:
            new[name] = _mapped(value, change, depth + 1)
    return change(new)


def of_object(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parameters of a function: an object's schema. What is none (absent, or without `type`) becomes one.

    Alternatives on top are refused by OpenAI and Anthropic: all their properties are put together, none of
    them required.
    """
    if not schema:
        return dict(EMPTY_OBJECT)
    made = {"type": "object", **{name: value for name, value in schema.items() if name not in _TOP}}
    properties = dict(as_dict(schema.get("properties")))
    for name in _ALTERNATIVES:
        for alternative in dicts(schema.get(name)):
            properties = {**as_dict(alternative.get("properties")), **properties}
    if properties or "properties" in made:
        made["properties"] = properties
    return made


# --- Anthropic ----------------------------------------------------------------------------


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """For Anthropic's `output_config.format`: objects closed, bounds left away."""
    made: dict[str, Any] = _mapped(schema, _close)
    return made


def is_bounded(schema: Mapping[str, Any]) -> bool:
    """Whether `closed` leaves anything away that is more than a note."""
    found = False

    def look(inner: dict[str, Any]) -> dict[str, Any]:
        nonlocal found
        found = found or bool(inner.keys() & (_UNBOUNDED - _NOTES))
        return inner

    _mapped(schema, look)
    return found


def _close(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in schema.items() if name not in _UNBOUNDED}
    if kept.get("minItems") not in (None, 0, 1):
        del kept["minItems"]
    if "oneOf" in kept and "anyOf" not in kept:
        kept["anyOf"] = kept.pop("oneOf")
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    return kept


# --- OpenAI -------------------------------------------------------------------------------


def qualifies_for_strict(schema: Mapping[str, Any] | None) -> bool:
    """Whether OpenAI's strict mode takes the schema as it is."""
    if schema is None or schema.get("type") != "object":
        return False
    fit = True

    def look(inner: dict[str, Any]) -> dict[str, Any]:
        nonlocal fit
        fit = fit and inner.keys() <= _STRICT and _is_closed(inner)
        return inner

    _mapped(schema, look)
    return fit


def _is_closed(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]) and "properties" not in schema:
        return True
    if schema.get("additionalProperties") is not False:
        return False
    return set(as_dict(schema.get("properties"))) == set(map(str, as_list(schema.get("required"))))


# --- Google -------------------------------------------------------------------------------


def for_google(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """For `parametersJsonSchema` and `responseJsonSchema`: only the keywords that these know."""
    made: dict[str, Any] = _mapped(schema or EMPTY_OBJECT, _to_google)
    return made


def _to_google(schema: dict[str, Any]) -> dict[str, Any]:
    new = dict(schema)
    if "const" in new and "enum" not in new:
        new["enum"] = [new["const"]]
    if "definitions" in new and "$defs" not in new:
        new["$defs"] = new["definitions"]
    if isinstance(reference := new.get("$ref"), str):
        new["$ref"] = reference.replace("#/definitions/", "#/$defs/")
    parts = as_list(new.get("allOf"))
    if len(parts) == 1 and isinstance(parts[0], Mapping):
        new = {**parts[0], **{name: value for name, value in new.items() if name != "allOf"}}
    return {name: value for name, value in new.items() if name in _GOOGLE}


def from_google(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """JSON Schema of one of Google's own schemas, which may be JSON Schema already."""
    made: dict[str, Any] | None = _mapped(schema, _from_google) if schema else None
    return made


def _from_google(schema: dict[str, Any]) -> dict[str, Any]:
    new = {_JSON_NAMES.get(name, name): value for name, value in schema.items() if value is not None}
    new.pop("propertyOrdering", None)
    if isinstance(kind := new.get("type"), str):
        new["type"] = kind.lower()
    elif isinstance(kind, list):
        new["type"] = [str(one).lower() for one in kind]
    if new.get("type") == "type_unspecified":
        del new["type"]
    for name in _COUNTS:
        if isinstance(count := new.get(name), str) and count.isdigit():
            new[name] = int(count)  # int64 is a string in the JSON of protocol buffers
    if new.pop("nullable", False) is True and isinstance(kind := new.get("type"), str):
        new["type"] = [kind, "null"]
    return new


_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_JSON_NAMES: Final = {
    "any_of": "anyOf", "min_items": "minItems", "max_items": "maxItems", "min_length": "minLength",
    "max_length": "maxLength", "min_properties": "minProperties", "max_properties": "maxProperties",
    "property_ordering": "propertyOrdering", "additional_properties": "additionalProperties",
    "defs": "$defs", "ref": "$ref", "example": "examples",
}  # fmt: skip
