"""What one attempt sends: the client's request, made for one binding.

Towards the origin the request is the client's own but for what was edited in its body. Towards another
provider it is a new one: its address, its credential, and of the client's headers only what says how the
body is to be read. Nothing that belongs to the client's account goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mitmproxy import http

from pointsman.errors import ConfigError
from pointsman.reach import at
from pointsman.surface import Surface, Translating, surfaces, translates
from pointsman.upstream import bindings
from pointsman.values import Adaptation, Binding, Facts, Model, Provider
from pointsman.wire import neutral
from pointsman.wire.asked import asked_for
from pointsman.wire.credentials import without_secrets
from pointsman.wire.json_spans import Body
from pointsman.wire.translate_request import facts_at, refusal, translated
from pointsman.wire.translation.losses import PERSONAL

ORIGIN = Binding(None, "")
# Of the client's headers, where the same API is spoken: none of them says who the client is.
_CARRIED = ("accept", "anthropic-version", "anthropic-beta")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One attempt's request; `surface` is the API spoken there, `facts` are those of what is sent there."""

    binding: Binding
    surface: Surface
    facts: Facts
    request: http.Request
    adaptations: tuple[Adaptation, ...] = ()
    conversation: neutral.Request | None = None
    """What was translated; None where the client's own format goes on."""

    @property
    def translated(self) -> bool:
        return self.conversation is not None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client sent, before anything was made of it; `body` has no markers and is the attempt's."""

    surface: Surface
    body: Body
    path: str
    headers: Mapping[str, str]  # names in lower case
    facts: Facts


def elsewhere(wanted: Wanted, binding: Binding, model: Model | None) -> Outgoing:
    """The request for another provider than the origin; `model` is the catalogue's row of what serves.

    Raises ConfigError where the provider has no key, and BodyError.
    """
    assert binding.provider
    same = binding.provider.surface == wanted.surface.SURFACE
    return _same_format(wanted, binding, model) if same else _translated(wanted, binding, model)


def _same_format(wanted: Wanted, binding: Binding, model: Model | None) -> Outgoing:
    """The client's own body, edited."""
    surface, body, facts = wanted.surface, wanted.body, wanted.facts
    assert binding.provider
    adaptations: list[Adaptation] = []
    if translates(surface):
        surface.disown(body)
        adaptations += _unnamed(surface, body)
    surface.estrange(body)
    fitted = _fitting(model, binding, surface)
    if fitted is not None and binding.model != facts.requested_model:
        adaptations += surface.adapt(body, facts, fitted)
    path = surface.set_model(body, wanted.path, binding.model)
    adaptations += surface.ask(body, facts)
    if binding.parameters:
        adaptations += surface.set_parameters(body, binding.parameters, model)
    if translates(surface) and binding.provider.models_of != surface.PROVIDER:
        adaptations += surface.imitate(body, binding.provider.quirks)
    for name, value in {**binding.provider.extra, **binding.extra}.items():
        body.set(name, value)
    carried = {name: wanted.headers[name] for name in _CARRIED if name in wanted.headers}
    request = _request(binding.provider, surface, path, body.render(), carried)
    return Outgoing(binding, surface, facts, request, tuple(adaptations))


def _unnamed(surface: Translating, body: Body) -> list[Adaptation]:
    """Take out who the client is, as a translation does."""
    told = [name for name, why in surface.READING.lost.items() if why is PERSONAL and body.has(name)]
    for name in told:
        body.delete(name)
    return [Adaptation(name, "drop", "", "", "personal") for name in told]


def key_of(binding: Binding) -> str:
    """The key of the binding's provider, "" where there is none."""
    try:
        return bindings.secret(binding.provider) if binding.provider else ""
    except ConfigError:  # it has gone from the environment meanwhile
        return ""


def without_key(text: str, binding: Binding) -> str:
    """A provider's words without its key: some repeat it."""
    key = key_of(binding)
    return without_secrets(text.replace(key, "[secret]") if key else text)


def _fitting(model: Model | None, binding: Binding, surface: Surface) -> Model | None:
    """The row by which a request is made to fit; None where nothing is known in the words of that API."""
    if model is None or binding.provider is None:
        return None
    known = model.provider == surface.PROVIDER or binding.provider.capabilities
    return at(model, binding) if known else None


def _translated(wanted: Wanted, binding: Binding, model: Model | None) -> Outgoing:
    """What the client said, in the provider's words."""
    provider = binding.provider
    assert provider
    source, surface = wanted.surface, surfaces()[provider.surface]
    assert translates(source) and translates(surface)
    conversation = source.read_request(wanted.body, wanted.path, wanted.headers)
    asked = asked_for(conversation, binding.parameters)
    fitted = _fitting(model, binding, surface)
    said = translated(asked, surface, bindings.target(binding, model), fitted)
    request = _request(provider, surface, said.path, said.body, {})
    facts = replace(wanted.facts, choices=1)  # what says how its answer is read
    return Outgoing(binding, surface, facts, request, said.adaptations, conversation)


class Reaching:
    """Why a client's request cannot be said in the API of a binding's provider; see `reach.Reaches`.

    It is read once, and only if another API than the client's comes into question.
    """

    def __init__(self, surface: Surface, body: Body, path: str, headers: Mapping[str, str]) -> None:
        self._surface = surface
        self._said = (body, path, headers)
        self._conversation: neutral.Request | None = None

    def __call__(self, binding: Binding, model: Model) -> str:
        """ "" if it can."""
        source = self._surface
        surface = surfaces()[binding.provider.surface] if binding.provider else source
        if surface is source:
            return ""
        if not (translates(source) and translates(surface)):
            return f"{surface.SURFACE} is not translated from {source.SURFACE}"
        if self._conversation is None:
            self._conversation = source.read_request(*self._said)
        target = bindings.target(binding, model)
        if why := refusal(self._conversation, surface, target):
            return why
        if model.provider != surface.PROVIDER:
            return ""
        return surface.ineligible(facts_at(self._conversation, surface, target), model)


def _request(
    provider: Provider, surface: Surface, path: str, content: bytes, headers: Mapping[str, str]
) -> http.Request:
    """A request with the provider's address and key, and nothing of the client's but `headers`."""
    assert translates(surface)
    said = {
        **headers,
        **provider.headers,
        **surface.authorize(bindings.secret(provider)),
        "content-type": "application/json",
        "accept-encoding": "identity",
    }
    url = bindings.url(provider, path)
    said = {"host": urlsplit(url).netloc, **said}
    fields = http.Headers([(name.encode(), value.encode()) for name, value in said.items()])
    return http.Request.make("POST", url, content, fields)
