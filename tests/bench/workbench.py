"""How long somebody waits for the workbench: `python -m tests.bench.workbench`.

A real server, a headless Chromium, a chart of 2,000 resources. The browser's own clock measures from the moment when
the person acts to the frame that shows what came of it, so that network, evaluation and drawing are all in it.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import granian
from playwright.sync_api import Browser, Page

from tests.bench.bodies import request_body
from tests.bench.processes import cores
from tests.bench.tables import promises, put
from tests.browser_rig import chromium, opened
from tests.service_rig import running

RESOURCES = 2000
TIMES, CHANGES = 10, 20
USABLE_MS, CHANGED_MS = 1000, 100
"""What is promised: until a chart can be worked with, and until a change is shown (median)."""

_DRAWN = """const drawn = () => new Promise((done) => {
    const outcome = document.getElementById("outcome");
    new MutationObserver((_, observer) => {
        if (outcome.hasAttribute("aria-busy")) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(done));  // after the frame that shows it
    }).observe(outcome, { attributes: true });
});
"""
_GIVE = f"""async (chart) => {{
    {_DRAWN}
    const file = document.getElementById("file"), carried = new DataTransfer();
    carried.items.add(new File([chart], "chart.json"));
    const done = drawn(), began = performance.now();
    file.files = carried.files;
    file.dispatchEvent(new Event("change", {{ bubbles: true }}));
    await done;
    return performance.now() - began;
}}"""
_CHANGE = f"""async (value) => {{
    {_DRAWN}
    const field = document.querySelector("[name='threshold.pain_moderate']");
    const done = drawn(), began = performance.now();
    field.value = value;
    field.dispatchEvent(new Event("change", {{ bubbles: true }}));
    await done;
    return performance.now() - began;
}}"""


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    chart = request_body(RESOURCES, datetime.now(UTC)).decode()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server, chromium() as browser:
        given, changed = measured(browser, f"{server.url}/", chart, args.times, args.changes)
    text = f"{_circumstances(args)}\n\n{_table(given, changed)}"
    if args.write:
        put("workbench", text)
    print(text)
    return 0


def measured(browser: Browser, url: str, chart: str, times: int, changes: int) -> tuple[list[float], list[float]]:
    """Milliseconds: from giving the chart to a page that was just opened, and from changing a threshold of it."""
    given = []
    for number in range(times):
        with opened(browser, url) as watched:
            given.append(watched.page.evaluate(_GIVE, chart))
            _check(watched.page, "#who")
            if number == times - 1:
                return given, [_changed(watched.page, each) for each in range(changes)]
    raise ValueError("times: at least one")


def _changed(page: Page, number: int) -> float:
    """Another value each time, and never the one in force: each is evaluated beside it."""
    took = page.evaluate(_CHANGE, str(1 + number % 3))
    _check(page, "#changed")
    return took


def _check(page: Page, shown: str) -> None:
    """Raises RuntimeError for a page that shows something else: a quick error is no result."""
    if page.locator(".problem").count() or not page.locator(shown).count():
        raise RuntimeError("the workbench did not show the chart")


def _table(given: list[float], changed: list[float]) -> str:
    middle, longest = median(changed), max(changed)
    return promises(
        f"The workbench with a chart of {RESOURCES:,} resources",
        [
            (f"chart given, page usable, ms (median of {len(given)})", f"{median(given):.0f}", f"≤ {USABLE_MS}",
             median(given) <= USABLE_MS),
            (f"threshold changed, outcome shown, ms (median of {len(changed)})", f"{middle:.0f}", f"≤ {CHANGED_MS}",
             middle <= CHANGED_MS),
            (f"the same, largest of {len(changed)}", f"{longest:.0f}", "", None),
        ],
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workbench", description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help="how often the chart is given (default: %(default)s)")
    parser.add_argument("--changes", type=int, default=CHANGES, help="changed thresholds (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    return parser


def _circumstances(args: argparse.Namespace) -> str:
    options = f" --times {args.times} --changes {args.changes}" * ((args.times, args.changes) != (TIMES, CHANGES))
    software = f"{platform.python_implementation()} {platform.python_version()}, granian {granian.__version__}"
    return f"`python -m tests.bench.workbench{options}`; {cores()} cores, {platform.machine()}, {software}"


if __name__ == "__main__":
    sys.exit(main())
