"""A call that lacks something passes through the application twice, with its errand between (hooks/gateway.py)."""

import asyncio
from typing import Any

from hooks.errand import ERRAND, Errand, Lacking
from hooks.gateway import Gateway
from tests.test_service_gateway import Call


class Application:
    """Says what it lacks, and echoes what was brought."""

    def __init__(self, *lacking: Lacking) -> None:
        self.lacking, self.times = lacking, 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.times += 1
        errand: Errand = environ[ERRAND]
        errand.body = errand.body or environ["wsgi.input"].read()
        errand.lacking = self.lacking
        start_response("200 OK", [])
        return [errand.body, *(key.encode() for key in errand.failed)]


class Fetcher:
    """Brings a failure, and notes what the gateway held meanwhile."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self.held = 0

    async def run(self, errand: Errand) -> None:
        self.held = self.gateway.held
        errand.failed = {"brought": "timeout"}


def served(application: Application) -> tuple[Call, Fetcher, Gateway]:
    fetcher, call = Fetcher(), Call(b"body")
    gateway = fetcher.gateway = Gateway(application, 100, fetcher=fetcher)
    asyncio.run(gateway.__rsgi__(call.scope, call))
    return call, fetcher, gateway


def test_what_is_brought_makes_the_answer():
    application = Application(Lacking("conditions", "Condition?patient=p1"))
    call, fetcher, gateway = served(application)
    assert call.answer == (200, [], b"bodybrought")
    assert application.times == 2
    assert (fetcher.held, gateway.held) == (4, 0)  # the body counts while it waits


def test_a_call_that_lacks_nothing_passes_once():
    application = Application()
    call, fetcher, _ = served(application)
    assert call.answer == (200, [], b"body")
    assert (application.times, fetcher.held) == (1, 0)
