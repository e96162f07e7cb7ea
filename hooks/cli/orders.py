"""Draft orders put into a chart from the command line: what is about to be signed (docs/orders.md)."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from fhir_profiles.samples import load_order, order_names
from hooks.cli.charts import ChartError
from hooks.cli.ehr import Chart
from hooks.cli.inputs import read_document
from hooks.cli.terminal import Unusable

ORDER_HOOK = "order-sign"


def with_orders(bundle: dict[str, Any], orders: Sequence[str]) -> dict[str, Any]:
    """The Bundle and draft orders for its patient. orders: names of sample orders, or files with a ServiceRequest.

    Raises Unusable for an order that is none, ChartError for a Bundle without exactly one patient.
    """
    if not orders:
        return bundle
    if bundle.get("resourceType") != "Bundle":
        raise ChartError("an order is put into a Bundle; a request has its own in context.draftOrders")
    patient = Chart(deepcopy(bundle)).patient["id"]  # a Chart changes the Bundle that it is made of
    about = {"subject": {"reference": f"Patient/{patient}"}}
    entries = [{"resource": _order(each, number) | about} for number, each in enumerate(orders, 1)]
    return bundle | {"entry": [*bundle["entry"], *entries]}


def _order(name: str, number: int) -> dict[str, Any]:
    """A draft with an id that tells it from the others."""
    order = load_order(name) if name in order_names() else _read(name)
    return {"id": f"order-{number}"} | order | {"status": "draft"}


def _read(name: str) -> dict[str, Any]:
    if not Path(name).is_file():
        raise Unusable(f"--order: {name} is no file and no sample order; those are {', '.join(order_names())}")
    try:
        order = msgspec.json.decode(read_document(name))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unusable(f"--order: {name}: not JSON: {error}") from None
    if not (isinstance(order, dict) and order.get("resourceType") == "ServiceRequest"):
        raise Unusable(f"--order: {name}: this is no FHIR ServiceRequest, which an order is")
    return order
