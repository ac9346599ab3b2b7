"""Reading an `intelligent-router-v0` document (see tiers.py): every mistake in it is one ConfigError.

What a tier says is checked as far as it is understood, and otherwise kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, NoReturn

import yaml

from pointsman.errors import ConfigError
from pointsman.scoring.categories import plain
from pointsman.scoring.tiers import DEFAULT_ROUTING, KIND, PARAMETERS, Document, Tier, is_router_document
from pointsman.values import EMPTY

_MAX_TOKENS: Final = ("max_output_tokens", "max_completion_tokens")  # are max_tokens here
_BODIES: Final = ("extra_body", "litellm_extra_body")
_ELSEWHERE: Final = frozenset({
    "api_key", "base_url", "api_base", "api_version", "extra_headers", "aws_access_key_id",
    "aws_secret_access_key", "aws_region_name",
})  # fmt: skip
_OF_THE_CLIENT: Final = frozenset({
    "messages", "input", "contents", "system", "instructions", "stream", "tools",
})  # fmt: skip
# Settings of the program that such documents are made for: about its own doings, not for the provider.
_NOT_SENT: Final = frozenset({
    "model", "id", "kind", "display_name", "llm_config", "disable_vision", "usage_id", "service_id",
    "num_retries", "retry_multiplier", "retry_min_wait", "retry_max_wait", "timeout", "max_message_chars",
    "max_input_tokens", "input_cost_per_token", "output_cost_per_token", "ollama_base_url", "drop_params",
    "modify_params", "disable_stop_word", "caching_prompt", "log_completions", "log_completions_folder",
    "custom_tokenizer", "native_tool_calling", "force_string_serializer", "openrouter_site_url",
    "openrouter_app_name", "enable_encrypted_reasoning",
})  # fmt: skip


def loads(text: str, file: str = "") -> object:
    """What a JSON or YAML text says. Raises ConfigError, also for a key that is there twice."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise ConfigError("is nested too deeply", file=file) from error
    except json.JSONDecodeError as error:
        line, problem = error.lineno, f"is not JSON: {error.msg}"
    except ValueError as error:
        raise ConfigError(str(error), file=file) from error
    if text.lstrip().startswith("{"):
        raise ConfigError(problem, file=file, line=line)
    try:
        return yaml.load(text, Loader=_Strict)  # noqa: S506 - a SafeLoader
    except ValueError as error:
        raise ConfigError(str(error), file=file) from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError(f"is not YAML: {what}", file=file, line=mark.line + 1 if mark else None) from error


def parse(value: object, *, key: str = "", file: str = "") -> Document:
    """The document in a value that JSON or YAML was read into. Raises ConfigError that names the member.

    `key` and `file` are where the value stands, for the message.
    """
    return _Parser(key, file).document(value)


@dataclass(frozen=True, slots=True)
class _Parser:
    key: str
    file: str

    def fail(self, member: str, problem: str) -> NoReturn:
        raise ConfigError(problem, file=self.file, key=".".join(filter(None, (self.key, member))))

    def document(self, value: object) -> Document:
        entry: Mapping[Any, Any] = EMPTY
        if isinstance(value, Mapping) and is_router_document(value.get("llm_config")):
            entry, value = value, value["llm_config"]
        if not isinstance(value, Mapping):
            self.fail("", f"must be a mapping of keys to values, not {_kind(value)}")
        if value.get("kind") != KIND:
            self.fail("kind", f"must be {KIND}, not {_shown(value.get('kind'))}")
        if "tiers" not in value:
            self.fail("tiers", "is missing: the models to choose from, by their ids")
        tiers = self.tiers(value)
        classifier = self.text(value, "classifier_model_id", "" if not tiers else None)
        document = Document(
            tiers=tiers,
            classifier=classifier,
            fallback=self.text(value, "fallback_model_id", classifier),
            routing=self.words(value, "routing", DEFAULT_ROUTING),
            descriptions=self.words(value, "category_descriptions", EMPTY),
            id=self.text(entry, "id", ""),
            display_name=self.text(entry, "display_name", self.text(value, "display_name", "")),
        )
        if tiers:  # without any there is nothing to refer to; preflight says so
            self.references(document)
        return document

    def references(self, document: Document) -> None:
        """Whatever is referred to is there."""
        ids = [tier.id for tier in document.tiers]
        self.known("classifier_model_id", document.classifier, ids)
        self.known("fallback_model_id", document.fallback, ids)
        if not document.routing:
            self.fail("routing", "must name at least one category and its tier")
        names: dict[str, str] = {}
        for category, id in document.routing.items():
            self.known(f"routing.{category}", id, ids)
            if (other := names.setdefault(plain(category), category)) != category:
                self.fail(f"routing.{category}", f"cannot be told from {other!r} in an answer")
        for category in document.descriptions:
            self.known(f"category_descriptions.{category}", category, list(document.routing), "a category")

    def tiers(self, value: Mapping[Any, Any]) -> tuple[Tier, ...]:
        given = self.mapping("tiers", value["tiers"])
        ids = [str(id) for id in given]
        seeing = value.get("vision_capable_model_ids")
        if seeing is not None:
            if not isinstance(seeing, list | tuple):
                self.fail("vision_capable_model_ids", f"must be a list of tier ids, not {_kind(seeing)}")
            for id in seeing if given else ():
                self.known("vision_capable_model_ids", id, ids)
        return tuple(self.tier(id, entry, seeing) for id, entry in given.items())

    def tier(self, id: object, value: object, seeing: Iterable[object] | None) -> Tier:
        where = f"tiers.{id}"
        if not isinstance(id, str) or not id.strip():
            self.fail(where, "a tier's id must be text; put it in quotes")
        entry = self.mapping(where, value)
        config = entry
        if entry.get("llm_config") is not None:
            where += ".llm_config"
            config = self.mapping(where, entry["llm_config"])
        model = config.get("model")
        if not isinstance(model, str) or not model.strip():
            self.fail(f"{where}.model", "must say which model it is, such as litellm_proxy/openai/gpt-5.5")
        parameters, extra = self.parameters(where, config)
        sees = None if seeing is None else id in seeing
        return Tier(
            id=id,
            model=model.strip(),
            parameters=MappingProxyType(parameters),
            extra=MappingProxyType(extra),
            sees=False if config.get("disable_vision") is True else sees,
            display_name=self.text(entry, "display_name", ""),
        )

    def parameters(self, where: str, config: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is asked for by parameters that every API has, and by others."""
        parameters: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for name, value in config.items():
            place = f"{where}.{name}"
            if not isinstance(name, str):
                self.fail(place, "a key must be text")
            if name in _ELSEWHERE and value is not None:
                self.fail(place, "has no place here: providers say where models are had, and with which key")
            if name in _OF_THE_CLIENT:
                self.fail(place, "is for the client to say, request by request")
            if name in _NOT_SENT or name in _ELSEWHERE:
                continue
            _check_plain(self, place, value)
            known = "max_tokens" if name in _MAX_TOKENS else name
            if known in PARAMETERS:
                self.parameter(place, known, value)
                parameters[known] = value
            elif name in _BODIES:
                extra |= self.mapping(place, value or {})
            else:
                extra[name] = value
        return parameters, extra

    def parameter(self, place: str, name: str, value: object) -> None:
        """A number where it is one; what else a model takes is for its provider to say."""
        words = name in ("reasoning_effort", "stop")
        right = isinstance(value, str | list) if words else isinstance(value, int | float)
        if value is not None and (not right or isinstance(value, bool)):
            self.fail(place, f"must be {'text' if words else 'a number'}, not {_shown(value)}")

    def mapping(self, place: str, value: object) -> Mapping[Any, Any]:
        if not isinstance(value, Mapping):
            self.fail(place, f"must be a mapping of keys to values, not {_kind(value)}")
        return value

    def text(self, value: Mapping[Any, Any], name: str, default: str | None) -> str:
        found = value.get(name)
        if found is None and default is not None:
            return default
        if not isinstance(found, str) or not found.strip():
            problem = "is missing" if found is None else f"must be text, not {_shown(found)}"
            self.fail(name, problem)
        return found

    def words(self, value: Mapping[Any, Any], name: str, default: Mapping[str, str]) -> Mapping[str, str]:
        found = value.get(name)
        if found is None:
            return default
        for key, text in self.mapping(name, found).items():
            if not isinstance(key, str) or not plain(key) or not isinstance(text, str):
                self.fail(f"{name}.{key}", f"must be text for text, not {_shown(text)}")
        return MappingProxyType(dict(found))

    def known(self, place: str, id: object, ids: list[str], what: str = "a tier") -> None:
        if id in ids:
            return
        close = get_close_matches(str(id), ids, 1, 0.6)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(ids)}"
        self.fail(place, f"{_shown(id)} is not {what}; {hint}")


def _check_plain(parser: _Parser, place: str, value: object) -> None:
    """JSON as it goes over the wire has neither NaN nor dates."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_plain(parser, f"{place}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            _check_plain(parser, place, item)
    elif not isinstance(value, str | int | float | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        parser.fail(place, f"cannot be sent: {_shown(value)}")


class _Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, as one of the two would be ignored."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        _once([(key.value, None) for key, _ in node.value])
        return super().construct_mapping(node, deep)


def _once(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {_shown(key)} is there twice")
        found[key] = value
    return found


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else _shown(value)


def _shown(value: object) -> str:
    return repr(value)[:80]
