"""Same in, same out (promise P13), in the size that a test run can afford.

`python -m tests.determinism` has the full size.
"""

from random import Random
from typing import Any

import pytest

from hooks.pipeline import load_site
from hooks.settings import Settings
from tests.determinism import ZONES, digest, digests, process, shuffled
from tests.records import condition, draft, knowledge
from tests.service_rig import call


@pytest.fixture(scope="module")
def here() -> dict[str, list[str]]:
    return digests(runs=10, seed=100)


def test_the_order_of_resources_changes_no_byte(here: dict[str, list[str]]):
    assert {name: len(each) for name, each in here.items()} == dict.fromkeys(here, 1)


def test_the_order_of_draft_orders_changes_no_byte():
    """Also of drafts without an id, which no reference tells apart."""
    kinds = ("spinal-traction", "mri-lumbar", "ct-lumbar", "physical-therapy", "spinal-fusion")
    drafts = [draft(kind) for kind in kinds] + [{**draft(kind), "id": None} for kind in kinds]
    request = call("order-sign", condition("osteoporosis", 400), condition("urinary-retention", 3))
    request["context"]["draftOrders"]["entry"] = [{"resource": without_id(each)} for each in drafts]
    chance, site = Random(1), load_site(Settings(), knowledge())
    assert len({digest(shuffled(request, chance), site) for _ in range(20)}) == 1


def without_id(order: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in order.items() if value is not None}


@pytest.mark.parametrize(("seed", "zone"), [(1, ZONES[1]), (2, ZONES[3])])
def test_hash_seed_time_zone_and_locale_change_no_byte(here: dict[str, list[str]], seed: int, zone: str):
    assert process(2, seed, zone) == here
