"""Virtual models in the providers' lists of models, in the shape of the API that a host speaks.

A list is the provider's own, with the virtual models after its last page; a question about one of
these is answered here, since the provider knows nothing of it. All else passes as it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from mitmproxy import http

from pointsman.errors import BodyError
from pointsman.options import Settings
from pointsman.surface import surfaces
from pointsman.wire import encoding
from pointsman.wire.model_names import Listed

LIMIT: Final = 16 << 20  # bytes of a list, decoded
_CREATED: Final = int(time.time())  # of all of them: since when they can be asked for


def listed(settings: Settings) -> tuple[Listed, ...]:
    """The virtual models; none while the router is off."""
    if not settings.enabled:
        return ()
    routers = settings.routers.values()
    titles = {router.name: router.document.display_name if router.document else "" for router in routers}
    return tuple(Listed(name, title or name, _CREATED) for name, title in titles.items())


def card(request: http.Request, names: Sequence[str], settings: Settings) -> http.Response | None:
    """The answer to a question about a virtual model, by the surfaces of its host; None where it is none."""
    for name in names:
        surface = surfaces()[name]
        asked = (surface.models_asked(request.method, request.path) or "").lower()
        for item in listed(settings) if asked else ():
            if item.name == asked:
                return http.Response.make(200, surface.model_card(item), {"content-type": "application/json"})
    return None


def is_list(flow: http.HTTPFlow, names: Sequence[str]) -> bool:
    """Is this the head of a list of models, to which names may be added once it is complete?"""
    request, response = flow.request, flow.response
    if response is None or response.status_code != 200:
        return False
    if "json" not in response.headers.get("content-type", ""):
        return False
    return any(surfaces()[name].models_asked(request.method, request.path) == "" for name in names)


def extend(flow: http.HTTPFlow, names: Sequence[str], settings: Settings) -> None:
    """Add the virtual models to a list that is complete. What is not understood stays as it is."""
    response = flow.response
    assert response is not None
    try:
        coding = response.headers.get("content-encoding", "")
        data = encoding.decode(response.raw_content or b"", coding, LIMIT)
    except BodyError:
        return
    items = listed(settings)
    answers = (surfaces()[name].model_list(data, flow.request.path, items) for name in names)
    longer = next((answer for answer in answers if answer is not None), None)
    if longer is None:
        return
    response.raw_content = longer
    for name in ("content-encoding", "transfer-encoding", "etag", "digest"):
        response.headers.pop(name, None)
    response.headers["content-length"] = str(len(longer))
