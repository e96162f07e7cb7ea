"""The parts of the documentation that are generated, so that they are never a second truth.

docs/criteria.md from the catalogue, and in the README every kind of card once, from the sample charts.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from cds.card import Card
from cds.cards import cards
from cds.catalogue import SOURCE_TITLES, Criterion, Group, Source
from cds.evaluation import CATALOGUE, CATALOGUE_VERSION, Evaluation, evaluate
from cds.explain import uses
from cds.limits import BY_KEY, THRESHOLDS, Limits, Threshold
from fhir_profiles import samples
from fhir_profiles.reading import read_chart
from fhir_profiles.record import gather_bundle
from fhir_profiles.terminology import Knowledge, load_knowledge

HEADER = f"""# Criteria reference

Generated from the code by `make docs`; a test holds that it is current. Catalogue version {CATALOGUE_VERSION}.

A criterion is `met`, `not-met` or `unknown`. The rule in words is the docstring of the function that decides it;
thresholds can be changed by a site ([configuration](configuration.md)), value sets extended
([knowledge](knowledge.md)).
"""


def criteria_markdown(knowledge: Knowledge) -> str:
    """All criteria, thresholds and sources as one Markdown page."""
    return "\n".join((HEADER, *_groups(knowledge), *_thresholds(), *_sources()))


def _groups(knowledge: Knowledge) -> Iterator[str]:
    for group in Group:
        yield f"## {group}\n"
        for entry in CATALOGUE:
            if entry.group is group:
                yield from _criterion(entry, knowledge)


def _criterion(entry: Criterion, knowledge: Knowledge) -> Iterator[str]:
    used = uses(entry.id)
    yield f"### {entry.id}\n"
    yield f"**{entry.title}.** {entry.in_words}\n"
    yield f"- Sources: {', '.join(entry.sources)}{' (beyond the source documents)' if entry.beyond else ''}"
    if used.thresholds:
        yield f"- Thresholds: {', '.join(f'`{key}` {BY_KEY[key].default:g}' for key in used.thresholds)}"
    if used.concepts:
        counts = (f"{concept} ({len(knowledge.value_sets[concept].codes)})" for concept in used.concepts)
        yield f"- Value sets (codes): {', '.join(counts)}"
    yield ""


def _thresholds() -> Iterator[str]:
    yield "## Thresholds\n"
    yield "| key | default | unit | from |"
    yield "|---|---|---|---|"
    yield from (_threshold(threshold) for threshold in THRESHOLDS)
    yield (
        "\n`weakness_grade`: the source speaks of weakness greater than grade 3. MRC grades fall as weakness grows, so"
        "\nit is read as power of grade 3 or less, the reading that misses no one.\n"
    )


def _threshold(threshold: Threshold) -> str:
    return f"| `{threshold.key}` | {threshold.default:g} | {threshold.unit} | {threshold.source} |"


def _sources() -> Iterator[str]:
    yield "## Sources\n"
    yield "| key | what it is |"
    yield "|---|---|"
    yield from (f"| `{source}` | {SOURCE_TITLES[source]} |" for source in Source)
    yield ""


SHOWN = {
    "emergency": "01-cauda-equina",
    "red-flag": "02-cancer-history-weight-loss",
    "surgical-referral": "07-sciatica-failed-conservative",
    "information": "09-isolated-spasm",
    "not-assessed": "11-chronic-incontinence",
    "order-safety": "19-traction-osteoporosis",
}
"""Card group -> the sample chart whose card the README shows."""

_PLACE = re.compile(r"(?<=<!-- cards: begin -->\n).*(?=<!-- cards: end -->)", re.DOTALL)


def cards_markdown(knowledge: Knowledge) -> str:
    """Every kind of card once, as an EHR would show it."""
    return "\n".join(_shown(group, name, knowledge) for group, name in SHOWN.items())


def readme_with_cards(readme: str, knowledge: Knowledge) -> str:
    """The README with its cards renewed."""
    return _PLACE.sub(lambda _: cards_markdown(knowledge), readme)


def _shown(group: str, name: str, knowledge: Knowledge) -> str:
    card = next(card for card in sample_cards(name, knowledge) if card.group == group)
    return f"""<details><summary><b>{group}</b> ({card.indicator}): {card.summary}</summary>

{card.detail}

{_offered(card)}Chart: [{name}](fhir_profiles/examples/{name}.json)

</details>
"""


def _offered(card: Card) -> str:
    labels = [offer.label for offer in (*card.suggestions, *card.changes)]
    return f"Offered: {', '.join(labels)}\n\n" if labels else ""


def sample_evaluation(
    name: str,
    knowledge: Knowledge,
    limits: Limits = Limits(),  # noqa: B008
    disabled: frozenset[str] = frozenset(),
) -> Evaluation:
    """A sample chart on its own day."""
    chart, hook, zone = samples.load(name), samples.story(name)["hook"], ZoneInfo("UTC")
    at = datetime.fromisoformat(chart["timestamp"])
    gathered = gather_bundle(msgspec.json.encode(chart), hook, at, zone)
    return evaluate(read_chart(gathered, at, zone, knowledge), at, zone, limits, disabled)


def sample_cards(name: str, knowledge: Knowledge) -> list[Card]:
    """Its cards."""
    return cards(sample_evaluation(name, knowledge), samples.story(name)["hook"])


if __name__ == "__main__":
    root, known = Path(__file__).parent.parent, load_knowledge()
    (root / "docs" / "criteria.md").write_text(criteria_markdown(known) + "\n")
    readme_file = root / "README.md"
    readme_file.write_text(readme_with_cards(readme_file.read_text(), known))
