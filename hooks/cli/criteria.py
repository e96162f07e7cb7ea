"""`backpain-cds criteria`: the catalogue, and one criterion in full."""

import argparse
import difflib
from typing import Any

from rich.table import Table
from rich.text import Text

from cds.catalogue import SOURCE_TITLES, Criterion
from cds.evaluation import CATALOGUE
from cds.explain import uses
from cds.limits import BY_KEY
from fhir_profiles.codes import SYSTEM_TITLES
from fhir_profiles.terminology import Knowledge
from fhir_profiles.transparency import load_transparency
from hooks.cli.site import knowledge_of, settings_of
from hooks.cli.terminal import Terminal, Unusable, table
from hooks.settings import Settings

_ROOM_FOR_SOURCES = 110  # columns; a narrower terminal shows them below the title


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Show the catalogue, or the criterion named."""
    settings = settings_of(args.config)
    if args.id is None:
        listed = [_row(entry, settings) for entry in CATALOGUE]
        terminal.write_json(listed) if args.json else terminal.show(_catalogue(listed, terminal.out.width))
        return 0
    full = _in_full(_named(args.id), settings, knowledge_of(settings))
    terminal.write_json(full) if args.json else _show(full, terminal)
    return 0


def _named(id_: str) -> Criterion:
    known = {entry.id: entry for entry in CATALOGUE}
    if id_ in known:
        return known[id_]
    close = difflib.get_close_matches(id_, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(close)}?" if close else "`backpain-cds criteria` lists them"
    raise Unusable(f"there is no criterion {id_!r}; {hint}")


def _row(entry: Criterion, settings: Settings) -> dict[str, Any]:
    return {
        "id": entry.id,
        "group": str(entry.group),
        "title": entry.title,
        "sources": [str(source) for source in entry.sources],
        "beyond": entry.beyond,
        "disabled": entry.id in settings.disabled,
    }


def _in_full(entry: Criterion, settings: Settings, knowledge: Knowledge) -> dict[str, Any]:
    used = uses(entry.id)
    return _row(entry, settings) | {
        "rule": entry.in_words,
        "thresholds": [
            {"key": key, "value": getattr(settings.limits, key), "unit": BY_KEY[key].unit} for key in used.thresholds
        ],
        "valueSets": [_value_set(concept, knowledge) for concept in used.concepts],
        "sources": {str(source): SOURCE_TITLES[source] for source in entry.sources},
        "sourceAttributes": load_transparency().attributes(entry.id),
    }


def _value_set(concept: str, knowledge: Knowledge) -> dict[str, Any]:
    info = knowledge.value_sets[concept]
    return {"concept": concept, "title": info.title, "url": info.url, "codes": dict(info.counts)}


def _catalogue(listed: list[dict[str, Any]], width: int) -> Table:
    caption = f"{len(listed)} criteria. + goes beyond the five source documents."
    aside = width >= _ROOM_FOR_SOURCES
    shown = table("criterion", "title", *(["sources"] if aside else []), caption=caption)
    for index, entry in enumerate(listed):
        if index == 0 or entry["group"] != listed[index - 1]["group"]:
            shown.add_section()
            shown.add_row(Text(entry["group"].upper(), "cyan"))
        sources = Text(", ".join(entry["sources"]), "dim")
        id_, title = _cells(entry)
        shown.add_row(id_, *([title, sources] if aside else [Text("\n").join([title, sources])]))
    return shown


def _cells(entry: dict[str, Any]) -> tuple[Text, Text]:
    style = "dim strike" if entry["disabled"] else ""
    title = Text.assemble((entry["title"], style), " +" if entry["beyond"] else "")
    if entry["disabled"]:
        title.append(" disabled", "yellow")
    return Text(entry["id"], style or "bold"), title


def _show(full: dict[str, Any], terminal: Terminal) -> None:
    heading = Text.assemble((full["title"], "bold"), f"\n{full['id']}, group ", (full["group"], "cyan"))
    if full["beyond"]:
        heading.append(", beyond the five source documents")
    if full["disabled"]:
        heading.append("\ndisabled by this site's configuration", "yellow")
    terminal.show(heading, "", Text(full["rule"]))
    if full["thresholds"]:
        terminal.show(_thresholds(full["thresholds"]))
    if full["valueSets"]:
        terminal.show(_value_sets(full["valueSets"]))
    terminal.show(_sources(full["sources"]))


def _thresholds(rows: list[dict[str, Any]]) -> Table:
    shown = table("threshold", "in force")
    for row in rows:
        shown.add_row(row["key"], f"{row['value']:g} {row['unit']}")
    return shown


def _value_sets(rows: list[dict[str, Any]]) -> Table:
    shown = table("value set", "codes")
    for row in rows:
        counts = (f"{SYSTEM_TITLES.get(system, system)} {count}" for system, count in row["codes"].items())
        shown.add_row(row["concept"], ", ".join(counts))
    return shown


def _sources(titles: dict[str, str]) -> Table:
    shown = table("source", "document")
    for key, title in titles.items():
        shown.add_row(key, title)
    return shown
