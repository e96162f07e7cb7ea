"""What a criterion is made of, for those who have to trust it: the source attributes of ONC HTI-1.

45 CFR 170.315(b)(11)(iv)(A) names thirteen for an evidence-based intervention. `knowledge/source-attributes.json` says
them; which patient data a criterion uses is read off its code, and a test holds that the file says the same.
"""

from collections.abc import Iterator
from datetime import date
from functools import cache

import msgspec

from cds.catalogue import CRITERIA, Source
from cds.explain import reaches
from fhir_profiles.errors import KnowledgeError
from fhir_profiles.terminology import FOLDER

FILE = "source-attributes.json"
NOT_USED = "not used"

ATTRIBUTES = {
    "bibliographicCitation": "Bibliographic citation",
    "developer": "Developer",
    "fundingSource": "Funding source",
    "releaseAndRevisionDates": "Release and revision dates",
    "race": "Use of race",
    "ethnicity": "Use of ethnicity",
    "language": "Use of language",
    "sexualOrientation": "Use of sexual orientation",
    "genderIdentity": "Use of gender identity",
    "sex": "Use of sex",
    "dateOfBirth": "Use of date of birth",
    "socialDeterminantsOfHealth": "Use of social determinants of health",
    "healthStatusAssessments": "Use of health status assessments",
}
"""Name of each of the thirteen -> what people call it, in the order of the rule."""

HEALTH_STATUS = frozenset(
    (
        "altered-consciousness",
        "balance-loss",
        "gait-disturbance",
        "iv-drug-use",
        "limping",
        "pain-score",
        "paralysis",
        "pregnancy",
        "significant-relief",
        "walking-distance",
    )
)
"""The concepts that are assessments of a patient's health status: function, mental status, pregnancy, use of
substances, and pain as the patient rates it."""


class Review(msgspec.Struct, frozen=True):
    """When the criteria were last looked through, by whom, and when that has to be done again."""

    on: date
    by: str
    due: date

    def is_overdue(self, today: date) -> bool:
        return today > self.due


class SourceDocument(msgspec.Struct, frozen=True):
    """A document that criteria rest on. version: its own word for its date; remark: how far it carries."""

    citation: str
    version: str
    remark: str


class _About(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is said of one criterion; what it does not use is left out."""

    sex: str = ""
    date_of_birth: str = ""
    health_status_assessments: str = ""
    limits: tuple[str, ...] = ()


class Transparency(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The file as a whole. limits: those of all criteria."""

    developer: str
    funding_source: str
    released: str
    revised: date
    review: Review
    sources: dict[Source, SourceDocument]
    limits: tuple[str, ...]
    criteria: dict[str, _About]

    def attributes(self, id_: str) -> dict[str, str]:
        """All thirteen for a criterion: what is used and how, or `NOT_USED`. Raises KeyError for an id that is none."""
        about = self.criteria.get(id_, _About())
        said = {
            "bibliographicCitation": " ".join(self.sources[source].citation for source in CRITERIA[id_].sources),
            "developer": self.developer,
            "fundingSource": self.funding_source,
            "releaseAndRevisionDates": f"Release: {self.released}. Revision: {self.revised}.",
            "sex": about.sex,
            "dateOfBirth": about.date_of_birth,
            "healthStatusAssessments": about.health_status_assessments,
        }
        return {name: said.get(name) or NOT_USED for name in ATTRIBUTES}

    def limits_of(self, id_: str) -> tuple[str, ...]:
        """What the criterion alone does not see; `limits` hold for all."""
        return self.criteria.get(id_, _About()).limits


@cache
def load_transparency() -> Transparency:
    """Raises KnowledgeError for a file that is not as it should be, or speaks of a criterion that is none."""
    try:
        read = msgspec.json.decode((FOLDER / FILE).read_bytes(), type=Transparency)
    except (OSError, msgspec.DecodeError) as error:
        raise KnowledgeError(f"{FILE}: {error}") from error
    missing = [*(set(Source) - read.sources.keys()), *(read.criteria.keys() - CRITERIA.keys())]
    if missing:
        raise KnowledgeError(f"{FILE}: {sorted(missing)}: each source has to be cited, and each criterion to exist")
    return read


def patient_data(id_: str) -> Iterator[str]:
    """The attributes of patients that the criterion's code uses, itself or through the criteria that it asks."""
    reached = reaches(id_)
    if "sex" in reached:
        yield "sex"
    if "birth-date" in reached:
        yield "dateOfBirth"
    if HEALTH_STATUS & reached:
        yield "healthStatusAssessments"
