"""For bare mitmproxy: event streams pass as they come. By itself it holds an answer until its last byte."""

from __future__ import annotations

from mitmproxy import http


def responseheaders(flow: http.HTTPFlow) -> None:
    assert flow.response
    flow.response.stream = flow.response.headers.get("content-type", "").startswith("text/event-stream")
