"""The smallest JSON value that fits a schema, either Google's or JSON Schema: what a model would answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 20
MAX_ITEMS = 100


def example(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """Deterministic: the first of an enumeration, the minimum of a range, one item of a list."""
    root = schema if root is None else root
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return None
    if "$ref" in schema:
        return example(_referred(root, str(schema["$ref"])), root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return example(schema[key][0], root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    return _of_type(schema, root, depth)


def _of_type(schema: Mapping[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        wanted = schema.get("required") or list(schema.get("properties") or {})
        properties = schema.get("properties") or {}
        return {name: example(properties.get(name, {}), root, depth + 1) for name in wanted}
    if kind == "array":
        count = min(max(1, int(schema.get("minItems") or 1)), MAX_ITEMS)
        return [example(schema.get("items", {}), root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return False
    return None if kind == "null" else "stand-in".ljust(int(schema.get("minLength") or 0), ".")


def _referred(root: Any, reference: str) -> Any:
    found = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found
