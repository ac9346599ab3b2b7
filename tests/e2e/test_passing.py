"""What is none of Pointsman's business goes through untouched; what is asked of it is answered by it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from e2e.support import Rows, Sdk, tunnel
from provider.answers import Answer, Fault, Pace, Page, Text, overloaded, rate_limited
from provider.encodings import compress
from provider.proxy import InProcessProxy, trust
from provider.standin import Record, StandIn

OPUS, HAIKU = "claude-opus-4-8", "claude-haiku-4-5"
HELLO: list[Any] = [{"role": "user", "content": "Which platform?"}]
TO_HAIKU = {"x-router-model": HAIKU}
ASK: dict[str, Any] = {"model": OPUS, "max_tokens": 50, "messages": HELLO}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models?limit=20"),
        ("GET", "/v1/models/claude-opus-4-8"),
        ("POST", "/v1/messages/batches"),
        ("GET", "/v1/messages/batches/msgbatch_1/results"),
        ("POST", "/v1/files"),
        ("DELETE", "/v1/files/file_1"),
        ("POST", "/v1/complete"),
        ("POST", "/api/event_logging/v2/batch"),
        ("GET", "/api/claude_cli/bootstrap"),
    ],
)
def test_other_endpoints_pass_byte_for_byte(
    raw: httpx2.Client, provider: StandIn, rows: Rows, method: str, path: str
) -> None:
    sent = b'{ "model": "claude-opus-4-8",\n "odd" : [1.0, 1e3, "\xc3\xa9\\u00e9"], "bytes": "\xff" }'
    got = b'{"model":\n"claude-opus-4-8", "bytes": "\xff\x00"}'
    provider.pages[f"{method} {path.partition('?')[0]}"] = Page(
        got, 200, {"content-type": "application/json"}
    )
    headers = {"x-router-alpha": "nonsense", "accept-encoding": "br;q=1.0, gzip;q=0.5"}
    answer = raw.request(method, path, content=sent if method == "POST" else None, headers=headers)
    assert answer.content == got
    record = provider.records[-1]
    assert (record.request.method, record.request.target) == (method, path)
    assert record.request.body == (sent if method == "POST" else b"")
    assert record.request.header("accept-encoding") == "br;q=1.0, gzip;q=0.5"
    assert not [name for name in answer.headers if name.startswith("x-router")]
    assert rows.all() == []


def test_the_sdk_lists_models(client: anthropic.Anthropic) -> None:
    assert OPUS in [model.id for model in client.models.list()]


def test_a_request_that_is_not_changed_is_not_reencoded(raw: httpx2.Client, provider: StandIn) -> None:
    said = b'{"content":"h\\u0069 \xc3\xa9","role":"user"}'
    body = b'{\n "max_tokens" : 20,"model":"claude-opus-4-8","messages":[ ' + said + b" ]}"
    raw.post("/v1/messages", content=body, headers={"x-router-model": OPUS})
    assert provider.last.request.body == body
    raw.post("/v1/messages", content=body, headers=TO_HAIKU)
    assert provider.last.request.body == body.replace(b"claude-opus-4-8", b"claude-haiku-4-5")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_compressed_requests_are_routed(raw: httpx2.Client, provider: StandIn, encoding: str) -> None:
    plain = httpx2.Request("POST", "https://x", json=ASK).read()
    headers = {"content-encoding": encoding, **TO_HAIKU}
    raw.post("/v1/messages", content=compress(plain, encoding), headers=headers)
    assert provider.last.model == HAIKU


def test_a_host_that_is_no_providers_is_tunnelled_with_its_own_certificate(
    proxy: InProcessProxy, provider: StandIn, rows: Rows
) -> None:
    with tunnel(proxy, "plain.example", trust(provider.ca_file)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: plain.example\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.endswith(b"plain host\n")
    with pytest.raises(ssl.SSLCertVerificationError):
        tunnel(proxy, "api.anthropic.com", trust(provider.ca_file))
    with tunnel(proxy, "api.anthropic.com", trust(proxy.ca_file)) as connection:
        assert connection.getpeercert()
    assert rows.all() == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_subscription_is_not_routed_but_logged(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, rows: Rows, account: str, streamed: bool
) -> None:
    token = f"sk-ant-oat01-{account}"
    client = connect(proxy, auth_token=token, default_headers={"anthropic-beta": "oauth-2025-04-20"})
    answer = client.messages.with_raw_response.create(**ASK, stream=streamed)
    said = answer.parse()
    assert "Pointsman" not in answer.http_response.read().decode() if not streamed else True
    if streamed:
        assert "content_block_stop" in [event.type for event in said]
    assert provider.last.model == OPUS and provider.last.subscription
    assert provider.last.request.header("authorization") == f"Bearer {token}"
    row = rows.wait(lambda found: bool(found and found[-1]["output_tokens"]))[-1]
    assert (row["served_model"], row["strategy"], row["credential_kind"]) == (
        OPUS,
        "passthrough",
        "subscription",
    )
    assert row["status"] == 200 and row["message_id"] == provider.last.message.id
    assert token not in str(rows.all()) and account not in row["credential_fingerprint"]


def test_background_calls_and_unknown_models_are_not_routed(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows
) -> None:
    client.messages.create(**{**ASK, "model": "claude-unlisted-preview"})
    assert provider.last.model == "claude-unlisted-preview"
    assert rows.last["strategy"] == "passthrough"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-weave-routing-alpha", "1.5"),
        ("x-router-alpha", "nan"),
        ("x-weave-routing-speed-weight", "-0.1"),
        ("x-weave-routing-output-cost-ratio", "11"),
        ("x-weave-routing-expected-output-tokens", "1.5"),
        ("x-weave-routing-per-model-verbosity", "yes"),
        ("x-router-model", "claude-nonesuch"),
        ("x-router-model", "claude-haiku-4-5\u00e9".encode().decode("latin-1")),
        ("x-router-marker", "loud"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true"])
def test_a_bad_header_is_refused_in_anthropics_shape_and_goes_nowhere(
    raw: httpx2.Client, provider: StandIn, proxy: InProcessProxy, name: str, value: str, path: str
) -> None:
    answer = raw.post(path, json=ASK, headers={name: value.encode("latin-1")})
    assert answer.status_code == 400
    error = answer.json()
    assert error["type"] == "error" and error["error"]["type"] == "invalid_request_error"
    assert name in error["error"]["message"]
    assert provider.records == []
    assert len(proxy.warnings) == 1 and name in proxy.warnings[0]


def test_good_knobs_are_on_the_row_and_steer(raw: httpx2.Client, provider: StandIn, rows: Rows) -> None:
    for alpha in ("1", "0"):
        raw.post(
            "/v1/messages", json=ASK, headers={"x-weave-routing-alpha": alpha, "x-router-speed-weight": "0"}
        )
    best, cheapest = rows.all()
    assert '"alpha"' in best["knobs"] and best["knobs_hash"] != cheapest["knobs_hash"]
    assert cheapest["cost_usd"] <= best["cost_usd"]
    assert [record.model for record in provider.messages] == [best["served_model"], cheapest["served_model"]]


def test_a_400_that_names_an_adapted_parameter_is_sent_again_as_the_client_made_it(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows, proxy: InProcessProxy
) -> None:
    provider.script(
        Fault(400, "thinking.enabled.budget_tokens: Input should be something else"), Answer((Text("Nine."),))
    )
    with client.messages.stream(
        **{**ASK, "max_tokens": 5000}, thinking={"type": "adaptive"}, extra_headers=TO_HAIKU
    ) as stream:
        said = stream.get_final_message()
    first, second = provider.messages
    assert (first.model, first.status) == (HAIKU, 400)
    assert (second.model, second.body["thinking"]) == (OPUS, {"type": "adaptive"})
    assert said.content[-1].text == "Nine."
    row = rows.wait(lambda found: bool(found and found[-1]["output_tokens"]))[-1]
    assert (row["served_model"], row["status"], row["message_id"]) == (OPUS, 200, said.id)
    assert "thinking" in row["retried"]
    assert len(rows.all()) == 1 and len(proxy.warnings) == 1


def test_a_second_400_is_the_clients(client: anthropic.Anthropic, provider: StandIn, rows: Rows) -> None:
    provider.script(Fault(400, "thinking: no"), Fault(400, "thinking: no, really"))
    with pytest.raises(anthropic.BadRequestError, match="no, really"):
        client.messages.create(
            **{**ASK, "max_tokens": 5000}, thinking={"type": "adaptive"}, extra_headers=TO_HAIKU
        )
    assert len(provider.messages) == 2
    assert rows.last["status"] == 400


def test_a_400_about_anything_else_is_not_repeated(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows
) -> None:
    provider.script(Fault(400, "messages.0: something the client did"))
    with pytest.raises(anthropic.BadRequestError, match="something the client did"):
        client.messages.create(
            **{**ASK, "max_tokens": 5000}, thinking={"type": "adaptive"}, extra_headers=TO_HAIKU
        )
    assert len(provider.messages) == 1
    assert rows.last["status"] == 400 and rows.last["error"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", [rate_limited(3), overloaded(), Fault(500, "Internal server error")])
def test_provider_errors_keep_status_head_and_body(
    raw: httpx2.Client, provider: StandIn, rows: Rows, fault: Fault, streamed: bool
) -> None:
    provider.script(fault)
    answer = raw.post("/v1/messages", json={**ASK, "stream": streamed}, headers=TO_HAIKU)
    assert answer.status_code == fault.status
    assert answer.json()["error"]["message"] == fault.message
    assert answer.headers["x-should-retry"] == "true"
    assert answer.headers.get("retry-after") == fault.headers.get("retry-after")
    assert answer.headers["request-id"] == provider.last.request_id
    assert len(provider.messages) == 1
    assert rows.last["status"] == fault.status and rows.last["error"]


def test_the_sdk_retries_as_it_does_without_a_router(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn
) -> None:
    provider.script(rate_limited(0), overloaded(0), Answer((Text("Nine."),)))
    said = connect(proxy, max_retries=2).messages.create(**ASK, extra_headers=TO_HAIKU)
    assert said.content[-1].text == "Nine."
    counts = [record.request.header("x-stainless-retry-count") for record in provider.messages]
    assert counts == ["0", "1", "2"]
    assert [record.model for record in provider.messages] == [HAIKU] * 3


def test_an_overload_in_the_stream_reaches_the_client_as_an_error(
    client: anthropic.Anthropic, provider: StandIn, rows: Rows
) -> None:
    provider.script(Answer((Text("Nine and a half"),), overload_after=4))
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(**ASK, extra_headers=TO_HAIKU) as stream,
    ):
        stream.get_final_message()
    row = rows.wait(lambda found: bool(found and found[-1]["error"]))[-1]
    assert row["message_id"] == provider.last.message.id
    assert "verloaded" in row["error"] and not row["complete"]


def test_router_off_lets_everything_pass(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy
) -> None:
    with proxy.setting(router_enabled=False):
        said = client.messages.create(**ASK)
    assert provider.last.model == OPUS
    assert len(said.content) == 1


def marked_history(client: anthropic.Anthropic) -> list[Any]:
    """A conversation whose first answer carries a marker, as a client would send it back."""
    said = client.messages.create(**ASK, extra_headers=TO_HAIKU)
    assert "Pointsman" in said.content[0].text  # type: ignore[union-attr]
    echoed = [{"type": "text", "text": block.text} for block in said.content if block.type == "text"]
    return [*HELLO, {"role": "assistant", "content": echoed}, {"role": "user", "content": "Sure?"}]


@pytest.mark.parametrize(
    "how", ["subscription", "unknown model", "background", "router off", "forced", "counting", "scored"]
)
def test_markers_are_stripped_whatever_becomes_of_the_request(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, account: str, how: str
) -> None:
    client = connect(proxy)
    request: dict[str, Any] = {**ASK, "messages": marked_history(client)}
    if how == "subscription":
        client = connect(
            proxy,
            auth_token=f"sk-ant-oat01-{account}",
            default_headers={"anthropic-beta": "oauth-2025-04-20"},
        )
    if how == "unknown model":
        request["model"] = "claude-unlisted-preview"
    if how == "background":
        request["max_tokens"] = 1
    if how == "counting":
        client.messages.count_tokens(model=OPUS, messages=request["messages"])
    elif how == "router off":
        with proxy.setting(router_enabled=False):
            client.messages.create(**request)
    else:
        client.messages.create(**request, extra_headers=TO_HAIKU if how == "forced" else {})
    content = provider.records[-1].body["messages"][1]["content"]
    assert content == [{"type": "text", "text": "Hello from the stand-in provider."}]


def test_a_body_in_chunks_is_routed(raw: httpx2.Client, provider: StandIn) -> None:
    body = httpx2.Request("POST", "https://x", json=ASK).read()

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(body), 10):
            yield body[at : at + 10]

    for model in (HAIKU, OPUS):
        answer = raw.post("/v1/messages", content=chunks(), headers={"x-router-model": model})
        assert answer.status_code == 200
        assert provider.last.model == model
        assert provider.last.request.body == body.replace(OPUS.encode(), model.encode())


@pytest.mark.parametrize(
    "body",
    [
        b' \r\n{"model":"claude-opus-4-8","max_tokens":9,"messages":[{"role":"user","content":"x"}]}\n\t ',
        b'{"\\u006dodel":"claude-opus-4-8","max_tokens":9,"messages":[{"role":"user","content":"x"}]}',
        b'{"model":"claude\\u002dopus-4-8","max_tokens":9,"messages":[{"role":"user","content":"x"}]}',
        b'{"metadata":{"user_id":"\\"model\\":\\"x\\""},"model":"claude-opus-4-8","max_tokens":9,'
        b'"messages":[{"role":"user","content":[{"type":"text","text":"\\\\\\"model\\": {["}]}]}',
    ],
    ids=["blanks around", "escaped key", "escaped value", "a key in a string"],
)
def test_unusual_but_lawful_json_is_routed(raw: httpx2.Client, provider: StandIn, body: bytes) -> None:
    answer = raw.post("/v1/messages", content=body, headers=TO_HAIKU)
    assert answer.status_code == 200, answer.text
    assert provider.last.model == HAIKU == answer.headers["x-router-model"]
    raw.post("/v1/messages", content=body, headers={"x-router-model": OPUS})
    assert provider.last.request.body == body


def test_the_one_retry_works_on_http2_and_when_the_client_leaves(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn
) -> None:
    client = connect(proxy, http2=True)
    request: dict[str, Any] = {**ASK, "max_tokens": 5000, "thinking": {"type": "adaptive"}}
    for _ in range(3):
        provider.script(Fault(400, "thinking: no"), Answer((Text("Nine."),)))
        with client.messages.stream(**request, extra_headers=TO_HAIKU) as stream:
            assert stream.get_final_text() == "Nine."
    impatient = connect(proxy, timeout=0.4)
    provider.script(Fault(400, "thinking: no"), Answer((Text("Nine."),), pace=Pace(head=30)))
    with pytest.raises(anthropic.APITimeoutError):
        impatient.messages.create(**request, extra_headers=TO_HAIKU)
    impatient.close()


def test_a_refused_model_is_not_tried_again_in_the_same_conversation(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy
) -> None:
    """Once the provider refused what was adapted, scoring leaves that model out for this conversation."""
    request: dict[str, Any] = {**ASK, "model": "claude-opus-4-6", "extra_body": {"temperature": 0.3}}
    provider.responder = lambda record: (
        Answer() if "temperature" in record.body else Fault(400, "temperature: nope")
    )
    for _ in range(6):
        said = client.messages.create(**request, extra_headers={"x-router-alpha": "0"})
        assert said.content[-1].type == "text"
    refused = [record.model for record in provider.messages if record.status == 400]
    assert refused and len(refused) == len(set(refused))
    assert len(proxy.warnings) == len(refused)


REFUSED = {"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}


@pytest.mark.parametrize("body", [{"detail": [REFUSED]}, {"message": {"detail": [REFUSED]}}])
def test_a_gateway_that_takes_no_wish_for_the_usage_is_asked_without(
    raw: httpx2.Client, provider: StandIn, rows: Rows, account: str, body: Any
) -> None:
    """Gateways refuse with 422 what they do not know, and say which in a list."""
    del raw.headers["x-api-key"]
    said = b'data: {"id":"c","model":"gpt-5","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    provider.script(
        Page(json.dumps(body).encode(), 422, {"content-type": "application/json"}),
        Page(said, headers={"content-type": "text/event-stream"}),
    )
    answer = raw.post(
        "https://api.openai.com/v1/chat/completions",
        json={"model": "gpt-5", "stream": True, "messages": ASK["messages"]},
        headers={"authorization": f"Bearer sk-{account}", "x-router-model": "gpt-5"},
    )
    assert answer.status_code == 200
    first, second = provider.messages
    assert "stream_options" in first.body and "stream_options" not in second.body
    assert rows.last["retried"] == "the provider refused stream_options.include_usage"


@pytest.mark.parametrize("status", [403, 404])
def test_a_model_that_the_account_may_not_have_is_asked_for_once(
    client: anthropic.Anthropic, provider: StandIn, proxy: InProcessProxy, rows: Rows, status: int
) -> None:
    """The requested model serves instead, and other conversations of the account leave the model out."""
    forbidden = []

    def answer(record: Record) -> Answer | Fault:
        if record.model == "claude-opus-4-8":
            return Answer((Text("Nine."),))
        forbidden.append(record.model)
        return Fault(status, f"model: {record.model}")

    provider.responder = answer
    for question in ("Which platform?", "Which train?", "Which station?", "Which guard?"):
        said = client.messages.create(
            model="claude-opus-4-8", max_tokens=100, messages=[{"role": "user", "content": question}]
        )
        assert (said.content[-1].text, said.model) == ("Nine.", "claude-opus-4-8")
    assert forbidden and len(forbidden) == len(set(forbidden))
    first = rows.all()[0]
    assert (first["served_model"], first["reason"]) == ("claude-opus-4-8", "provider refused what was picked")
    assert first["retried"] == f"{forbidden[0]} was picked, and this account may not have it"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_routed_is_read_whole_whatever_mitmproxy_would_stream(
    raw: httpx2.Client,
    provider: StandIn,
    proxy: InProcessProxy,
    rows: Rows,
    streamed: bool,
    chunked: bool,
) -> None:
    ask = {**ASK, "stream": streamed, "messages": [{"role": "user", "content": "Which platform? " * 2000}]}
    body = httpx2.Request("POST", "https://x", json=ask).read()
    pieces = (body[at : at + 5000] for at in range(0, len(body), 5000))
    provider.script(Answer((Text("Nine. " * 2000),)))
    with proxy.setting(stream_large_bodies="1k"):
        answer = raw.post("/v1/messages", content=pieces if chunked else body, headers=TO_HAIKU)
    assert (answer.status_code, provider.last.model) == (200, HAIKU)
    assert "Pointsman" in answer.text
    assert rows.last["message_id"] == provider.last.message.id


@pytest.mark.parametrize("chunked", [False, True])
def test_mitmproxys_limit_for_bodies_holds(
    raw: httpx2.Client, provider: StandIn, proxy: InProcessProxy, chunked: bool
) -> None:
    body = httpx2.Request("POST", "https://x", json=ASK).read() + b" " * 20_000
    pieces = (body[at : at + 5000] for at in range(0, len(body), 5000))
    with proxy.setting(body_size_limit="10k", stream_large_bodies="1k"):
        answer = raw.post("/v1/messages", content=pieces if chunked else body)
    assert answer.status_code == 413
    assert not provider.messages


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("name", ["claude-x\r\nx-evil: 1", "claude-x\0", "claude-\u00fc", "x" * 200_000])
def test_a_name_that_is_no_models_cannot_break_the_head_of_the_answer(
    connect: Sdk, proxy: InProcessProxy, provider: StandIn, rows: Rows, name: str, http2: bool
) -> None:
    client = connect(proxy, http2=http2, max_retries=0)
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(**{**ASK, "model": name})
    headers = raised.value.response.headers
    assert "x-evil" not in headers
    assert headers["x-router-model"].isascii() and len(headers["x-router-model"]) <= 200
    assert provider.last.body["model"] == name
    assert rows.last["requested_model"] == headers["x-router-model"]
