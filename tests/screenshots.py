"""The pictures of the README: `make screenshots` writes docs/images/*.png from the pages as they are.

The clock stands still, so that the pictures change only when the pages do.
"""

import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from hooks.settings import Settings
from tests.browser_rig import chromium, opened
from tests.service_rig import app

FOLDER = Path(__file__).parent.parent / "docs" / "images"
_WIDTH = 1180


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


def main(folder: Path = FOLDER) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    with _served() as url, chromium() as browser:
        for name, picture in (
            ("workbench", _cards(browser, url)),
            ("workbench-criteria", _part(browser, url, "section.criteria")),
            ("workbench-timeline", _part(browser, url, "section:has(> #timeline)")),
        ):
            file = folder / f"{name}.png"
            file.write_bytes(smaller(picture))
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
    sys.exit(main())
