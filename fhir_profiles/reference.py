"""The criteria reference of the documentation, generated from the catalogue: never a second truth."""

from collections.abc import Iterator

from cds.catalogue import SOURCE_TITLES, Criterion, Group, Source
from cds.evaluation import CATALOGUE, CATALOGUE_VERSION
from cds.explain import uses
from cds.limits import BY_KEY, THRESHOLDS, Threshold
from fhir_profiles.terminology import Knowledge

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
        "\n`weakness_grade`: the source speaks of weakness greater than grade 3. MRC grades fall as weakness grows, so it"
        "\nis read as power of grade 3 or less, the reading that misses no one.\n"
    )


def _threshold(threshold: Threshold) -> str:
    return f"| `{threshold.key}` | {threshold.default:g} | {threshold.unit} | {threshold.source} |"


def _sources() -> Iterator[str]:
    yield "## Sources\n"
    yield "| key | what it is |"
    yield "|---|---|"
    yield from (f"| `{source}` | {SOURCE_TITLES[source]} |" for source in Source)
    yield ""


if __name__ == "__main__":
    from fhir_profiles.terminology import load_knowledge

    print(criteria_markdown(load_knowledge()))
