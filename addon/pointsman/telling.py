"""How an upstream's answer becomes the client's: natively, translated, or behind an opening of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pointsman.outgoing import Outgoing
from pointsman.surface import Surface, Transform, translates
from pointsman.values import NO_CHANGES, Binding, Changes, Facts
from pointsman.wire.chain import Chain
from pointsman.wire.neutral import Request
from pointsman.wire.translate import told, translate_body, translation

SSE = "text/event-stream"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Telling:
    """One answer in the client's words.

    `answer_id` is ours, `model` the requested one, `created` unix seconds.
    """

    surface: Surface
    facts: Facts
    changes: Changes
    answer_id: str
    model: str
    created: int

    @property
    def stream_type(self) -> str:
        """The content type of a stream that is not the provider's own; Gemini's can be an array."""
        return JSON if getattr(self.facts, "array", False) else SSE

    def client(self) -> Transform:
        """The transform that all of the client's format goes through."""
        found = self.surface.stream(self.stream_type, self.facts, self.changes)
        assert found is not None
        return found

    def opening(self, out: Outgoing, bindings: Iterable[Binding]) -> bytes:
        """What a stream starts with before the provider's does; b"" where only the provider can begin it.

        Where all that may come is translated, the ids in it are ours anyway.
        """
        if self.stream_type != SSE:
            return b""
        said = self.surface.opening(self.answer_id, self.model, self.created)
        natively = any(_speaks(binding, self.surface) for binding in bindings)
        if said or natively or out.conversation is None or not translates(self.surface):
            return said
        return self.surface.write_events(out.conversation, self.answer_id, self.created).begin()

    def follow(
        self, content_type: str, out: Outgoing | None, opened: Transform | None = None
    ) -> Transform | None:
        """What follows a streamed answer; None for one that is read as a whole.

        `opened` is the client's end of a stream that has got its opening.
        """
        if out is None or not (out.translated or opened):
            return self.surface.stream(content_type, self.facts, self.changes)
        observer = out.surface.stream(content_type, out.facts, NO_CHANGES)
        if observer is None:
            return None
        if out.conversation is None:
            assert opened is not None
            joined = self.surface.rejoin(self.answer_id, self.model, self.created)
            return Chain(observer, opened, joined=joined)
        assert translates(self.surface) and translates(out.surface)
        ours = (out.conversation, self.answer_id, self.created)
        made = translation(out.surface, self.surface, *ours, content_type)
        if opened is not None:
            made.begin()  # it was sent
        return Chain(observer, opened or self.client(), translation=made)

    def streamed(self, data: bytes, out: Outgoing, opened: Transform | None = None) -> list[bytes]:
        """A provider's whole answer as the stream that the client wants, or as the rest of it."""
        assert translates(self.surface) and translates(out.surface)
        request = out.conversation or Request(self.model, ())
        writer = self.surface.write_events(request, self.answer_id, self.created)
        client = opened or self.client()
        begun = writer.begin()
        pieces = [b"" if opened else begun, writer.feed(told(data, out.surface, request))]
        return [part for piece in pieces if piece for part in client.feed(piece)] + client.flush()

    def body(self, data: bytes, out: Outgoing | None) -> bytes:
        """A provider's whole answer as the client gets it."""
        if out is not None and out.conversation is not None:
            assert translates(self.surface) and translates(out.surface)
            ours = (out.conversation, self.answer_id, self.created)
            data = translate_body(data, out.surface, self.surface, *ours).data
        return self.surface.rewrite_body(data, self.changes)


def _speaks(binding: Binding, surface: Surface) -> bool:
    return binding.provider is None or binding.provider.surface == surface.SURFACE
