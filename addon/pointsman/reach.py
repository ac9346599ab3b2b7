"""Where the models of one request can be had: which of their bindings are left, and why others are not.

A binding is left out before anything is scored, for the first of these reasons:

 1. The request stays with its host: a subscription login, or state that only the host has.
 2. Nothing leads there: the host does not serve the model, or the provider has no key.
 3. The host, or the provider, refused the model to this account or conversation.
 4. The request does not fit: what the model takes, and its context there.
 5. The request cannot be said in the API that is spoken there.

Without bindings of its own a model is had at the origin, if that serves it, and else at the provider whose
model it is: never at both, so that no account pays for what another one has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pointsman.catalogue import HOME, UNSAID
from pointsman.surface import surfaces
from pointsman.values import Binding, Facts, Model, Provider
from pointsman.wire.limits import lacks_input, lacks_room

Ineligible = Callable[[Facts, Model], str]
"""The surface's own rules: why a model cannot take a request, "" if it can."""

Reaches = Callable[[Binding, Model], str]
"""Why a request cannot be said in the API that a binding's provider speaks, "" if it can."""

# Where data is worked on: only the API that it is said to can promise that.
_STAYS: Final = frozenset({"inference_geo"})
# Its rules ask for nothing that only rows of its own provider have.
_OPEN_RULES: Final = frozenset({"openai_chat"})


def own_api_only(facts: Facts) -> Reaches:
    """For callers that translate nothing: other APIs than the client's cannot be reached."""

    def reaches(binding: Binding, model: Model) -> str:
        spoken = binding.provider.surface if binding.provider else facts.surface
        return "" if spoken == facts.surface else f"speaks {spoken}, and the client {facts.surface}"

    return reaches


def anywhere(binding: Binding, model: Model) -> str:
    return ""


def at_host(surface: str, host: str) -> tuple[str, bool]:
    """Whose models a host serves, "" if that is not known; and whether it is one of the user's own."""
    spoken = surfaces()[surface]
    own = not host or host.lower().rstrip(".") in {name.partition(":")[0] for name in spoken.HOSTS}
    return (spoken.PROVIDER, False) if own else ("", True)


@dataclass(frozen=True, slots=True)
class Reach:
    """A model as it can be had for one request: prices and limits are those of the first binding."""

    model: Model
    bindings: tuple[Binding, ...]  # with names to send; none: it cannot be had
    why: str = ""  # why there is none
    possible: bool = True  # False: nothing leads to it, whatever the request says

    @property
    def at_origin(self) -> bool:
        return any(binding.provider is None for binding in self.bindings)


def at(model: Model, binding: Binding) -> Model:
    """The model with the prices, limits and abilities that it has at a binding."""
    own = {
        name: value
        for name in ("prices", "context_tokens", "max_output_tokens")
        if (value := getattr(binding, name)) is not None
    }
    if binding.provider and binding.provider.capabilities:
        own["capabilities"] = {**model.capabilities, **binding.provider.capabilities}
    return replace(model, **own) if own else model


@dataclass(frozen=True, slots=True)
class Ways:
    """What decides for one request where models can be had."""

    facts: Facts
    providers: Mapping[str, Provider]
    available: frozenset[str]  # names of providers with a key
    requested: Model | None  # None for a virtual model
    maker: str  # whose models the origin serves, by the catalogue's name; "" if that is not known
    gateway: bool  # the origin is a host of the user's own, which may have what a row says
    login: bool  # a subscription's: what it asks stays with its host
    tied: str  # why the request goes to no other host, "" if it may
    ineligible: Ineligible
    reaches: Reaches
    refused: Callable[[Model, Binding], str]  # why this account or conversation does not get it there
    homes: dict[str, Provider | None] = field(default_factory=dict, compare=False)  # found so far, by maker

    def of(self, model: Model) -> Reach:
        """Where the model can be had, in order."""
        if not model.bindings and model.provider == self.maker:  # most often so, and most often all there is
            why = self._unfit(origin := Binding(None, model.name), model)
            return Reach(model, () if why else (origin,), why)
        left: list[Binding] = []
        reasons: dict[str, str] = {}
        possible = False
        for binding in self._listed(model):
            nowhere = self._nowhere(binding, model)
            possible = possible or not nowhere
            if why := nowhere or self._unfit(binding, at(model, binding)):
                reasons.setdefault(binding.name, why)
            else:
                left.append(binding)
        why = "" if left else _told(reasons) or f"is served by {model.provider}, and no provider has it"
        return Reach(at(model, left[0]) if left else model, tuple(left), why, possible)

    @property
    def insisting(self) -> Ways:
        """The same, whatever a provider refused before: where it would be that or nothing."""
        return replace(self, refused=_never)

    def for_own_calls(self, text: str) -> Ways:
        """For what the router asks by itself about `text`: with keys of its own, and nothing of the client's.

        What a login says does not leave its host this way either.
        """
        facts = replace(
            self.facts,
            images=0, documents=0, tools=0, tool_types=frozenset(), needs=frozenset(), prefill=False,
            forced_tool=False, input_tokens_estimate=len(text), max_tokens=None, thinking=None, speed=None,
            service_tier=None,
        )  # fmt: skip
        return replace(
            self,
            facts=facts,
            requested=None,
            maker="",
            gateway=False,
            tied=self.tied if self.login else "",
            homes={},
            reaches=anywhere,
        )

    def _listed(self, model: Model) -> Iterator[Binding]:
        for binding in model.bindings or (HOME,):
            if binding.provider is None and binding.model == HOME.model:
                if (home := self._home(model)) is not None:
                    asks = binding.parameters or binding.extra
                    yield replace(home, parameters=binding.parameters, extra=binding.extra) if asks else home
            else:
                yield binding

    def _home(self, model: Model) -> Binding | None:
        """The origin if it serves the model, else the provider whose model it is."""
        if self._is_requested(model) or (self.maker and model.provider == self.maker):
            return Binding(None, model.name)
        if model.provider not in self.homes:
            self.homes[model.provider] = self._provider_of(model)
        home = self.homes[model.provider]
        return Binding(home, home.names.get(model.name, model.name)) if home else None

    def _provider_of(self, model: Model) -> Provider | None:
        """One that has its key, then one that speaks the client's API, then the first that is named."""
        homes = [one for one in self.providers.values() if model.provider in (one.models_of, one.name)]
        homes.sort(key=lambda one: (one.name not in self.available, one.surface != self.facts.surface))
        return homes[0] if homes else None

    def _nowhere(self, binding: Binding, model: Model) -> str:
        if binding.provider is None:
            serves = self._is_requested(model) or self.gateway or model.provider == self.maker
            return "" if serves else f"the client's host has no models of {model.provider}"
        if binding.provider.name in self.available:
            return ""
        named = binding.provider.key_env or binding.provider.key_file
        return f"no key for {binding.provider.name}" + (f" ({named})" if named else "")

    def _unfit(self, binding: Binding, model: Model) -> str:
        if binding.provider is None:
            if self._is_requested(model):
                return ""
            return self.facts.bound or self.refused(model, binding) or self.ineligible(self.facts, model)
        return (
            self.tied
            or self.refused(model, binding)
            or self._lacks(binding.provider, model)
            or self._untold(binding, model)
        )

    def _is_requested(self, model: Model) -> bool:
        return self.requested is not None and model.name == self.requested.name

    def _lacks(self, provider: Provider, model: Model) -> str:
        """What the model does not take there. Another API's own rules are for who writes requests in it."""
        facts, row = self.facts, model.capabilities
        native = provider.surface == facts.surface
        own = model.provider == surfaces()[provider.surface].PROVIDER and row is not UNSAID
        if (stays := facts.needs & _STAYS) and not (native and own):
            return f"{min(stays)} is for the client's host only"
        if native and (own or facts.surface in _OPEN_RULES or provider.capabilities):
            return self.ineligible(facts, model)
        if native and (kinds := facts.tool_types - set(row.get("tool_types") or ())):
            return f"has no {min(kinds)}"
        if native and facts.prefill and not row.get("prefill"):
            return "takes no prefilled answer"
        if provider.models_of == model.provider and provider.surface == "openai_chat":
            if row.get("chat") is False:
                return "is not served over Chat Completions"
            if facts.tools and row.get("chat_tools", "always") not in ("always", "effort_absent"):
                return "takes tools over Chat Completions only without reasoning"
        return lacks_input(facts, row) or lacks_room(facts, model)

    def _untold(self, binding: Binding, model: Model) -> str:
        """A defect in the translation takes that way out, and no other."""
        try:
            return self.reaches(binding, model)
        except Exception as error:
            return f"cannot be translated: {type(error).__name__}"


def _never(model: Model, binding: Binding) -> str:
    return ""


def _told(reasons: Mapping[str, str]) -> str:
    """Of one binding its reason alone; of several whose it is."""
    if len(reasons) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{name}: {why}" for name, why in reasons.items())
