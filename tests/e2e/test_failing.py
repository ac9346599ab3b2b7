"""A router that fails, is reconfigured, or loses its disk while it works: the client does not notice."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.support import Rows, Sdk
from pointsman.errors import BodyError
from pointsman.wire.json_spans import Body
from provider.answers import Answer, Text
from provider.proxy import InProcessProxy
from provider.standin import StandIn

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"
ASK: dict[str, Any] = {
    "model": OPUS,
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Which platform?"}],
}
ANSWER = Answer((Text("Nine."),))


def engine(proxy: InProcessProxy) -> Any:
    return proxy.addons[0].engine


class Broken:
    """Raises wherever it is called."""

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise RuntimeError("a defect in the router")


# --- routing --------------------------------------------------------------------------------------


def test_a_defect_in_scoring_costs_the_client_nothing(
    client: anthropic.Anthropic,
    provider: StandIn,
    rows: Rows,
    proxy: InProcessProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pointsman.scoring.cluster.score", Broken())
    said = client.messages.create(**ASK)
    assert said.model == provider.last.model == OPUS
    row = rows.last
    assert (row["reason"], row["strategy"], row["status"]) == ("routing failed", "passthrough", 200)
    assert "a defect in the router" in row["detail"]
    assert len(proxy.warnings) == 1


def test_after_a_defect_the_conversation_keeps_its_model(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = {**ASK, "messages": [{"role": "user", "content": "Which platform is it today?"}]}
    client.messages.create(**ask, extra_headers={"x-router-model": HAIKU})
    monkeypatch.setattr("pointsman.scoring.cluster.score", Broken())
    said = client.messages.create(**ask)
    assert provider.last.model == HAIKU
    assert said.model == OPUS


def test_a_model_that_the_request_cannot_be_adapted_to_is_given_up_too(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = {**ASK, "messages": [{"role": "user", "content": "Which platform is it tomorrow?"}]}
    client.messages.create(**ask, extra_headers={"x-router-model": HAIKU})
    monkeypatch.setattr("pointsman.scoring.cluster.score", Broken())
    monkeypatch.setattr("pointsman.wire.anthropic.adapt", Broken())
    client.messages.create(**ask)
    assert provider.last.model == OPUS


def test_a_request_that_adapting_leaves_half_done_goes_out_as_it_was_made(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(body: Body, *_: object) -> None:
        body.set("max_tokens", 7)
        raise BodyError("this part is not understood")

    monkeypatch.setattr("pointsman.wire.anthropic.adapt", half)
    client.messages.create(**ASK, extra_headers={"x-router-model": HAIKU})
    assert (provider.last.model, provider.last.body["max_tokens"]) == (OPUS, ASK["max_tokens"])


def test_router_fail_closed_answers_503_in_the_surfaces_shape(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman.scoring.cluster.score", Broken())
    with (
        proxy.setting(router_fail="closed"),
        pytest.raises(anthropic.InternalServerError, match="router_fail is closed") as raised,
    ):
        client.messages.create(**ASK)
    assert raised.value.status_code == 503
    assert not provider.messages


def test_a_defect_in_reading_still_takes_the_markers_out(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = client.messages.create(**ASK, extra_headers={"x-router-model": HAIKU})
    assert "Pointsman" in said.content[0].text
    monkeypatch.setattr("pointsman.wire.anthropic.read_facts", Broken())
    history = [*ASK["messages"], {"role": "assistant", "content": said.content}, *ASK["messages"]]
    client.messages.create(**{**ASK, "messages": history})
    assert b"Pointsman" not in provider.last.request.body
    assert provider.last.model == OPUS


def test_where_stripping_itself_fails_the_request_goes_as_the_client_made_it(
    raw: httpx2.Client, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman.wire.anthropic.strip", Broken())
    body = json.dumps(ASK, indent=1).encode()
    assert raw.post("/v1/messages", content=body, headers={"x-router-alpha": "0.5"}).status_code == 200
    assert provider.last.request.body == body
    assert provider.last.request.header("x-router-alpha") is None


def test_an_encoder_that_takes_too_long_is_not_waited_for(
    client: anthropic.Anthropic,
    provider: StandIn,
    rows: Rows,
    proxy: InProcessProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(text: str) -> Any:
        time.sleep(1.0)
        raise RuntimeError("too late")

    monkeypatch.setattr(engine(proxy).embedder, "embed", slow)
    ask = {**ASK, "messages": [{"role": "user", "content": "Words that were never embedded before."}]}
    with proxy.setting(router_embed_timeout_ms=30):
        client.messages.create(**ask)
    assert provider.last.model == OPUS
    assert rows.last["reason"] == "routing failed"
    assert "TimeoutError" in rows.last["detail"]


# --- the answer -----------------------------------------------------------------------------------


def test_a_defect_in_the_transform_loses_no_bytes(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pointsman.wire.anthropic.stream import StreamTransform

    feed, calls = StreamTransform.feed, []

    def failing(self: StreamTransform, chunk: bytes) -> list[bytes]:
        calls.append(chunk)
        if len(calls) == 3:
            raise RuntimeError("a defect in the transform")
        return feed(self, chunk)

    monkeypatch.setattr(StreamTransform, "feed", failing)
    provider.script(Answer((Text("Nine and three quarters, as every child knows."),)))
    headers = {"x-router-model": HAIKU, "x-router-marker": "off"}
    with client.messages.stream(**ASK, extra_headers=headers) as stream:
        said = stream.get_final_text()
    assert said == "Nine and three quarters, as every child knows."
    assert len(proxy.warnings) == 1


@pytest.mark.parametrize("model", [HAIKU, "claude-opus-4-6"])
def test_a_defect_in_the_accounts_loses_no_bytes(
    client: anthropic.Anthropic,
    provider: StandIn,
    proxy: InProcessProxy,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
) -> None:
    monkeypatch.setattr("pointsman.answer.costs", Broken())
    provider.script(Answer((Text("Nine and three quarters."),), tear=7))
    headers = {"x-router-model": model, "x-router-marker": "text"}
    with client.messages.stream(**ASK, extra_headers=headers) as stream:
        said = stream.get_final_message()
    assert (said.id, said.model) == (provider.last.message.id, OPUS)
    assert [block.text.partition("Pointsman")[1] for block in said.content] == ["Pointsman", ""]
    assert said.content[-1].text == "Nine and three quarters."
    assert len(proxy.warnings) == 1


# --- the disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("how", ["raises", "fails", "hangs"])
def test_a_broken_store_holds_nobody_up(
    client: anthropic.Anthropic,
    provider: StandIn,
    proxy: InProcessProxy,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    streamed: bool,
) -> None:
    def write(*args: object, **kwargs: object) -> Future[None]:
        if how == "raises":
            raise OSError("the disk is full")
        future: Future[None] = Future()
        if how == "fails":
            future.set_exception(OSError("the disk is full"))
        return future

    store = engine(proxy).store
    monkeypatch.setattr(store, "record", write)
    monkeypatch.setattr(store, "update", write)
    monkeypatch.setattr("pointsman.row.COMMIT_PATIENCE_S", 0.05)
    provider.script(ANSWER)
    with client.messages.stream(**ASK) if streamed else _whole(client) as got:
        said = got.get_final_message()
    assert said.content[-1].text == "Nine."
    assert len(proxy.warnings) == 1
    assert "not on disk" in proxy.warnings[0]


def test_a_store_that_hangs_is_not_waited_for_by_the_event_loop_again_and_again(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []

    class Never(Future[None]):
        def result(self, timeout: float | None = None) -> None:
            waited.append(timeout)
            raise TimeoutError

    store = engine(proxy).store
    monkeypatch.setattr(store, "behind", False)
    monkeypatch.setattr(store, "record", lambda *args, **kwargs: Never())
    monkeypatch.setattr(store, "update", lambda *args, **kwargs: Never())
    monkeypatch.setattr("pointsman.row.COMMIT_PATIENCE_S", 0.01)
    provider.script(ANSWER, ANSWER, ANSWER)
    for _ in range(3):
        with client.messages.stream(**ASK) as stream:
            assert stream.get_final_text().endswith("Nine.")
    assert len(waited) <= 1


class _whole:
    """An answer that is not streamed, in the form of a stream."""

    def __init__(self, client: anthropic.Anthropic) -> None:
        self.message = client.messages.create(**ASK)

    def __enter__(self) -> _whole:
        return self

    def __exit__(self, *_: object) -> None: ...

    def get_final_message(self) -> Any:
        return self.message


# --- configuration --------------------------------------------------------------------------------


def test_a_changed_file_takes_effect_and_a_broken_one_is_refused(
    connect: Sdk,
    provider: StandIn,
    rows: Rows,
    proxy: InProcessProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pointsman.addon.CONFIG_CHECK_S", 0.0)
    client = connect(proxy)
    path = tmp_path / "router.yaml"
    path.write_text(f"routes: [{{name: one, strategy: fixed, model: {HAIKU}}}]\n")
    with proxy.setting(router_config=str(path)):
        client.messages.create(**ASK)
        assert (rows.last["route"], provider.last.model) == ("one", HAIKU)

        path.write_text("routes: [{name: two, strategy: fixed, model: claude-sonnet-4-6}]\n")
        client.messages.create(**ASK)
        assert (rows.last["route"], provider.last.model) == ("two", "claude-sonnet-4-6")

        path.write_text("routes: [{name: three, strategy: fixd}]\n")
        client.messages.create(**ASK)
        client.messages.create(**ASK)
        assert rows.last["route"] == "two"
        complaints = [line for line in proxy.warnings if "keeps its old settings" in line]
        assert len(complaints) == 1
        assert f"{path}:1" in complaints[0] and "strategy" in complaints[0]

        path.write_text(f"routes: [{{name: four, strategy: fixed, model: {HAIKU}}}]\n")
        client.messages.create(**ASK)
        assert rows.last["route"] == "four"


def test_a_refused_option_leaves_the_old_ones_in_force(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy
) -> None:
    before = engine(proxy).settings
    with proxy.setting(router_bundle="v99"):
        assert engine(proxy).settings is before
        client.messages.create(**ASK)
    assert provider.last.status == 200
    assert "no bundle 'v99'" in proxy.warnings[0]


def test_a_route_whose_knobs_do_not_fit_the_bundle_is_refused_and_not_each_request(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, tmp_path: Path
) -> None:
    path = tmp_path / "router.yaml"
    path.write_text("routes: [{name: fast, knobs: {speed_weight: 0.9}}]\n")
    before = engine(proxy).settings
    with proxy.setting(router_config=str(path)):
        assert engine(proxy).settings is before
        client.messages.create(**ASK)
    assert provider.last.status == 200
    assert str(path) in proxy.warnings[0] and "fast" in proxy.warnings[0]
    assert "alpha" in proxy.warnings[0]


def test_conversations_go_on_when_the_time_they_are_remembered_changes(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy
) -> None:
    ask = {**ASK, "messages": [{"role": "user", "content": "How long do you remember me?"}]}
    client.messages.create(**ask, extra_headers={"x-router-model": HAIKU})
    key = next(key for key, known in engine(proxy).pipeline.sessions.items() if known.model == HAIKU)
    with proxy.setting(router_session_ttl_s=7200):
        sessions = engine(proxy).pipeline.sessions
        assert (sessions.ttl_s, sessions.get(key).model) == (7200, HAIKU)


def test_a_row_that_could_not_be_written_is_written_as_soon_as_the_disk_is_back(
    client: anthropic.Anthropic,
    provider: StandIn,
    rows: Rows,
    proxy: InProcessProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = engine(proxy).store
    record, calls = store.record, []

    def full_once(*args: object, **kwargs: object) -> Future[None]:
        calls.append(args)
        if len(calls) > 1:
            return record(*args, **kwargs)
        future: Future[None] = Future()
        future.set_exception(OSError("the disk is full"))
        return future

    monkeypatch.setattr(store, "record", full_once)
    provider.script(ANSWER)
    with client.messages.stream(**ASK) as stream:
        said = stream.get_final_message()
    row = rows.wait(lambda found: bool(found and found[-1]["output_tokens"]))[-1]
    assert row["message_id"] == said.id
    assert len(proxy.warnings) == 1
