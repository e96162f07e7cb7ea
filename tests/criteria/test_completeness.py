"""Every criterion of the catalogue is shown by worked examples, with all three statuses."""

import pytest

from cds.evaluation import CATALOGUE
from tests.criteria import test_emergency, test_information, test_order_safety, test_red_flag, test_surgical_referral

FILES = (test_emergency, test_red_flag, test_surgical_referral, test_information, test_order_safety)
SHOWN = {id_: rows for file in FILES for id_, rows in file.EXAMPLES.items()}


def test_exactly_the_criteria_of_the_catalogue_are_shown():
    assert set(SHOWN) == {entry.id for entry in CATALOGUE}


@pytest.mark.parametrize("id_", SHOWN)
def test_with_all_three_statuses(id_):
    statuses = {row.expected for row in SHOWN[id_].values()}
    assert statuses == {"met", "not-met", "unknown"}
