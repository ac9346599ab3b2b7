"""Every model that the configuration can lead to, asked for once: what `pointsman preflight` finds.

    route or virtual model → its tiers or models → their bindings → one tiny request each

A binding gets the request with the parameters that it would be served with. What several routes lead to is
asked for once. What only a client's own credential reaches cannot be checked, and does not fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman import own_calls
from pointsman.catalogue import HOME
from pointsman.config_documents import SHIPPED
from pointsman.config_routers import CLUSTER
from pointsman.config_routes import Route
from pointsman.errors import UpstreamError
from pointsman.options import Settings
from pointsman.reach import Ways, anywhere, at
from pointsman.surface import surfaces
from pointsman.values import Binding, Facts, Model, TurnKind
from pointsman.wire.neutral import Message, Request, TextPart

TIMEOUT_S: Final = 60.0
AT_ONCE: Final = 8
QUESTION: Final = "1+1="
MOST_TOKENS: Final = 100

CLIENTS_ONLY: Final = "had with the client's own credential only: cannot be checked"


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one binding."""

    binding: Binding
    error: str = ""
    status: int | None = None  # of a refusal
    ms: float | None = None

    @property
    def name(self) -> str:
        return f"{self.binding.name} ({self.binding.model})"


@dataclass(frozen=True, slots=True)
class Target:
    """One tier or model. `why` says why it has no binding to check; with `left_out` that is no failure."""

    id: str
    model: Model
    bindings: tuple[Binding, ...] = ()
    why: str = ""
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A route or virtual model, and what it leads to."""

    name: str
    title: str
    strategy: str
    classified: bool
    targets: tuple[Target, ...]
    why: str = ""  # why nothing of it can serve, "" if something can


@dataclass(frozen=True, slots=True)
class Checked:
    """A target, and what came of its bindings."""

    target: Target
    found: tuple[Found, ...] = ()

    @property
    def error(self) -> str:
        """Why it fails, "" if it does not."""
        failed = [one for one in self.found if one.error]
        if not failed:
            return "" if self.found or self.target.left_out else self.target.why
        if len(self.found) == 1:
            return failed[0].error
        return "; ".join(f"{one.binding.name}: {one.error}" for one in failed)


# --- what there is to check -----------------------------------------------------------------


def groups(settings: Settings, scored: Sequence[str], names: Sequence[str] = ()) -> list[Group]:
    """What the configuration leads to; of what is shipped only what has all its keys, unless it is named.

    `scored` are the models of the bundle, by the catalogue's names.
    """
    found = [_group(route, settings, scored) for route in _routes(settings)]
    if names:
        return [group for group in found if group.name in names]
    shipped = (SHIPPED, CLUSTER)
    return [group for group in found if group.name not in shipped or _has_all_keys(group)]


def known(settings: Settings) -> list[str]:
    """The names of all routes and virtual models that lead anywhere."""
    return [route.name for route in _routes(settings)]


def _routes(settings: Settings) -> Iterator[Route]:
    yield from (route for route in settings.routes if route.strategy != "passthrough")
    yield from settings.routers.values()


def _has_all_keys(group: Group) -> bool:
    return bool(group.targets) and all(target.bindings for target in group.targets)


def _group(route: Route, settings: Settings, scored: Sequence[str]) -> Group:
    document = route.document
    title = route.name
    if document is not None:
        models = {tier.id: route.tiers[tier.id] for tier in document.tiers}
        title = document.display_name or route.name
    elif route.models:
        models = dict(route.models)
    else:
        rows = settings.catalogue.rows
        fit = [rows[name] for name in scored if name in rows]
        models = {row.name: row for row in fit if row.target and not row.opt_in}
    targets = tuple(_target(id, model, route, settings) for id, model in models.items())
    if not route.models and document is None:  # whatever can be had competes: the rest is not meant
        targets = tuple(target for target in targets if target.bindings)
    why = "" if targets else "has no tiers" if document is not None else "none of its models has a key"
    return Group(route.name, title, route.strategy, document is not None, targets, why)


def _target(id: str, model: Model, route: Route, settings: Settings) -> Target:
    """The bindings that clients of any API would be served from, each once."""
    bindings: dict[int, Binding] = {}
    why = ""
    for surface in surfaces():
        reach = _ways(settings, surface).of(model)
        why = why or reach.why
        for binding in reach.bindings:
            if binding not in bindings.values():
                bindings[len(bindings)] = binding
    if bindings:
        return Target(id, model, tuple(bindings.values()))
    at_origin = any(binding.provider is None for binding in model.bindings or (HOME,))
    spoken = model.provider in {surface.PROVIDER for surface in surfaces().values()}
    if at_origin and (spoken or not route.virtual):
        return Target(id, model, why=CLIENTS_ONLY, left_out=True)
    return Target(id, model, why=why)


def _ways(settings: Settings, surface: str) -> Ways:
    """As for a small request of a client that speaks this API, at a host that serves nothing itself."""
    facts = Facts(
        surface=surface, endpoint="generate", requested_model="", stream=False, turn=TurnKind.MAIN,
        user_texts=(QUESTION,), tool_loop=False, session_hint=None, first_user_text=QUESTION, client="",
        message_count=1, input_tokens_estimate=len(QUESTION), max_tokens=MOST_TOKENS,
    )  # fmt: skip
    return Ways(
        facts=facts,
        providers=settings.catalogue.providers,
        available=settings.available,
        requested=None,
        maker="",
        gateway=False,
        login=False,
        tied="",
        ineligible=lambda facts, model: "",
        reaches=anywhere,
        refused=lambda model, binding: "",
    )


# --- checking -------------------------------------------------------------------------------


class Checks:
    """Asks, a few at a time. Made inside a running event loop; nothing is asked before `start`."""

    def __init__(self, timeout_s: float = TIMEOUT_S, environ: Mapping[str, str] | None = None) -> None:
        self._timeout_s = timeout_s
        self._environ = environ
        self._room = asyncio.Semaphore(AT_ONCE)
        self._asked: list[tuple[Binding, asyncio.Task[Found]]] = []

    def start(self, found: Sequence[Group]) -> None:
        """Send all requests, so that the first results need not wait for each other."""
        for group in found:
            for target in group.targets:
                for binding in target.bindings:
                    self._task(binding, target.model)

    async def check(self, target: Target) -> Checked:
        """What came of a target."""
        return Checked(target, tuple([await self._task(each, target.model) for each in target.bindings]))

    def _task(self, binding: Binding, model: Model) -> asyncio.Task[Found]:
        for asked, task in self._asked:
            if asked == binding:
                return task
        task = asyncio.create_task(self._ask(binding, at(model, binding)))
        self._asked.append((binding, task))
        return task

    async def _ask(self, binding: Binding, model: Model) -> Found:
        request = Request("", (Message("user", (TextPart(QUESTION),)),), max_tokens=MOST_TOKENS)
        async with self._room:
            try:
                said = await own_calls.ask(
                    binding, request, model, timeout_s=self._timeout_s, environ=self._environ
                )
            except UpstreamError as error:
                return Found(binding, str(error), error.status)
            except Exception as error:  # a defect at one place leaves the others to be checked
                return Found(binding, f"cannot be asked: {type(error).__name__}")
        # A model that has only begun to think when its tokens ended is there as well.
        if not (said.text or said.thinking or said.usage.output_tokens):
            return Found(binding, "an answer without content", 200, said.ms)
        return Found(binding, ms=said.ms)


# --- for machines ---------------------------------------------------------------------------


def as_json(group: Group, checked: Sequence[Checked]) -> dict[str, Any]:
    ok = not group.why and not any(each.error for each in checked)
    return {
        "name": group.name,
        "title": group.title,
        "strategy": group.strategy,
        "ok": ok,
        "error": group.why or None,
        "targets": [_target_json(each) for each in checked],
    }


def _target_json(each: Checked) -> dict[str, Any]:
    return {
        "id": each.target.id,
        "model": each.target.model.name,
        "ok": not each.error,
        "error": each.error or None,
        "left_out": each.target.why if each.target.left_out else None,
        "bindings": [
            {
                "provider": one.binding.name,
                "model": one.binding.model,
                "parameters": dict(one.binding.parameters),
                "ok": not one.error,
                "status": one.status,
                "error": one.error or None,
                "ms": None if one.ms is None else round(one.ms, 1),
            }
            for one in each.found
        ],
    }
