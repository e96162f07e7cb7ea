"""What the scopes of an access token let us ask for (R77)."""

import pytest

from hooks.smart_scopes import READ, SEARCH, Reach, reach

WHOLE, PART, NOTHING = Reach.WHOLE, Reach.PART, Reach.NOTHING


@pytest.mark.parametrize(
    ("scope", "search", "read"),
    [
        ("", WHOLE, WHOLE),
        ("  ", WHOLE, WHOLE),
        ("patient/Condition.read", WHOLE, WHOLE),
        ("patient/*.read", WHOLE, WHOLE),
        ("user/*.*", WHOLE, WHOLE),
        ("system/Condition.*", WHOLE, WHOLE),
        ("patient/Condition.write", NOTHING, NOTHING),
        ("patient/Observation.read", NOTHING, NOTHING),
        ("launch openid fhirUser online_access", NOTHING, NOTHING),
        ("patient/Condition.rs", WHOLE, WHOLE),
        ("patient/Condition.s", WHOLE, NOTHING),
        ("patient/Condition.r", NOTHING, WHOLE),
        ("patient/*.cruds", WHOLE, WHOLE),
        ("patient/Condition.cud", NOTHING, NOTHING),
        ("patient/Condition.sr", NOTHING, NOTHING),
        ("patient/Condition.rs?category=problem-list-item", PART, PART),
        ("patient/Condition.rs?category=a patient/Condition.rs", WHOLE, WHOLE),
        ("patient/Condition.rs?category=a patient/Condition.rs?category=b", PART, PART),
        ("patient/Condition.rs?category=a user/*.read", WHOLE, WHOLE),
        ("patient/ConditionX.rs", NOTHING, NOTHING),
        ("xpatient/Condition.rs patient/Condition", NOTHING, NOTHING),
    ],
)
def test_scopes_of_both_versions(scope: str, search: Reach, read: Reach):
    assert reach(scope, "Condition", SEARCH) is search
    assert reach(scope, "Condition", READ) is read
