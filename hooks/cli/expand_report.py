"""What an expansion would change, for somebody who has to judge it code by code."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from fhir_profiles import codes as c
from fhir_profiles.expansion_pages import Listed
from fhir_profiles.site_value_sets import Change
from hooks.cli.terminal import Terminal, table

SHOWN = 20
"""Added codes of one concept, unless all are asked for."""


def report(
    terminal: Terminal,
    changes: Sequence[Change],
    failed: Mapping[str, str],
    by_hand: Sequence[str],
    written: Path | None,
    everything: bool,
) -> None:
    """Missing codes first, because they are the ones that may hide a patient."""
    terminal.show(*_missing(changes), *_added(changes, everything), _summary(changes))
    for concept, reason in failed.items():
        terminal.remark(f"{concept} was not expanded: {reason}", "bold red")
    for concept in by_hand:
        terminal.remark(f"{concept} stays as it is: the site's own list replaces ours")
    if written:
        terminal.remark(f"{written}: the proposal. Read it, then: backpain-cds expand --accept")
    else:
        terminal.remark("nothing to change, nothing written")


def report_json(
    terminal: Terminal,
    changes: Sequence[Change],
    failed: Mapping[str, str],
    by_hand: Sequence[str],
    written: Path | None,
    everything: bool,
) -> None:
    """The same for programs; always with every code."""
    terminal.write_json(
        {
            "proposal": str(written) if written else None,
            "concepts": {change.concept: _as_json(change) for change in changes},
            "failed": dict(failed),
            "replacedBySite": list(by_hand),
        }
    )


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "added": [code._asdict() for code in change.added],
        "missing": [code._asdict() for code in change.missing],
        "dropped": change.dropped,
        "leftOut": [code._asdict() for code in change.left_out],
    }


def _missing(changes: Sequence[Change]) -> Iterator[Any]:
    for change in changes:
        if change.missing:
            what = "TAKEN OUT, as asked" if change.dropped else "kept; --drop-missing would take them out"
            yield Text(
                f"{change.concept}: {len(change.missing)} known codes that the source does not have ({what})",
                "bold red",
            )
            yield _codes("-", change.missing, len(change.missing))


def _added(changes: Sequence[Change], everything: bool) -> Iterator[Any]:
    for change in changes:
        for sign, codes, words in (("+", change.added, "added"), ("x", change.left_out, "left out: excluded or local")):
            if codes:
                yield Text(f"{change.concept}: {len(codes)} {words}", "bold")
                yield _codes(sign, codes, len(codes) if everything else SHOWN)


def _codes(sign: str, codes: Sequence[Listed], shown: int) -> Any:
    rest = len(codes) - shown
    listed = table("", "system", "code", "display", caption=f"and {rest} more: --all shows them" if rest > 0 else "")
    for code in codes[:shown]:
        listed.add_row(sign, c.SYSTEM_TITLES[code.system], code.code, code.display or "(no display)")
    return listed


def _summary(changes: Sequence[Change]) -> Any:
    shown = table("concept", "added", "missing", "left out")
    for change in changes:
        shown.add_row(change.concept, *(str(len(each)) for each in (change.added, change.missing, change.left_out)))
    return shown
