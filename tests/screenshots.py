"""The pictures of the documents: `make screenshots` writes docs/images/*.png from the pages as they are.

`python -m tests.screenshots intake` writes that one alone. The clock of the workbench stands still, and on the intake
form stands no date of today, so that the pictures change only when the pages do.
"""

import struct
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from hooks.settings import Settings
from tests.browser_rig import chromium, opened
from tests.records import back_pain
from tests.service_rig import app, patient, running
from tests.smart_rig import ehr

FOLDER = Path(__file__).parent.parent / "docs" / "images"
_WIDTH = 1180
_TABLET = 820


class _Quiet(WSGIRequestHandler):
    def log(self, *_args: object) -> None:
        """Nothing: the command's own lines are what somebody reads."""


@contextmanager
def _served() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app(Settings(workbench=True, development=True)), request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()


def main(names: Collection[str] = (), folder: Path = FOLDER) -> int:
    """names: of pictures, by default all."""
    folder.mkdir(parents=True, exist_ok=True)
    with _served() as url, chromium() as browser:
        pictures: Mapping[str, Callable[[], bytes]] = {
            "workbench": partial(_cards, browser, url),
            "workbench-criteria": partial(_part, browser, url, "section.criteria"),
            "workbench-timeline": partial(_part, browser, url, "section:has(> #timeline)"),
            "intake": partial(_form, browser),
        }
        if unknown := set(names) - set(pictures):
            print(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(pictures)}", file=sys.stderr)
            return 2
        for name in names or pictures:
            file = folder / f"{name}.png"
            file.write_bytes(smaller(pictures[name]()))
            print(f"{file.relative_to(folder.parent.parent)}  {file.stat().st_size // 1000} kB")
    return 0


def _cards(browser: Browser, url: str) -> bytes:
    with opened(browser, url, _WIDTH) as watched:
        return watched.page.screenshot(clip={"x": 0, "y": 0, "width": _WIDTH, "height": 900})


def _part(browser: Browser, url: str, selector: str) -> bytes:
    with opened(browser, url, _WIDTH) as watched:
        page: Page = watched.page
        page.evaluate("document.activeElement.blur()")
        return page.locator(selector).screenshot()


def _form(browser: Browser) -> bytes:
    """Between a real server and an EHR, where somebody says yes to an emergency sign."""
    with tempfile.TemporaryDirectory() as folder, ehr(Path(folder), _record()) as rig, running(Path(folder)) as server:
        url = f"{server.url}/intake/launch?iss={rig.base()}&launch=p1~cauda-equina,severe-radicular-pain"
        with opened(browser, url, _TABLET) as watched:
            page: Page = watched.page
            page.get_by_role("link", name="Allow").click()
            for question, words in (("saddle-anesthesia", "Yes"), ("urinary-retention", "Don’t know")):
                page.locator(f"#question-{question} > .choices").get_by_text(words, exact=True).click()
            page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            return page.screenshot(clip={"x": 0, "y": 0, "width": _TABLET, "height": 900})


def _record() -> list[dict[str, Any]]:
    began = datetime.now(UTC) - timedelta(days=10)
    named = patient(name=[{"family": "Example", "given": ["Maria"]}]) | {"id": "p1"}
    return [named, back_pain(date=f"{began:%Y-%m-%d}") | {"subject": {"reference": "Patient/p1"}}]


def smaller(png: bytes) -> bytes:
    """The same picture, packed as well as zlib can: a browser takes the time for a quick job only."""
    signature, at, kept, data = png[:8], 8, [], b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, chunk = png[at + 4 : at + 8], png[at : at + length + 12]
        if kind == b"IDAT":
            data += chunk[8:-4]
        elif kind in (b"IHDR", b"IEND"):
            kept.append(chunk)
        at += length + 12
    packed = zlib.compress(zlib.decompress(data), 9)
    body = b"IDAT" + packed
    return signature + kept[0] + struct.pack(">I", len(packed)) + body + struct.pack(">I", zlib.crc32(body)) + kept[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
