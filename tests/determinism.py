"""Same in, same out (promise P13, reliability.md row 46), in full size.

    python -m tests.determinism [--runs 100] [--seeds 8]

The sample charts are answered again and again, their resources in another order each time, in processes that differ in
hash seed, time zone and locale. All answers to a chart have to be the same bytes; ids of cards are numbered, not drawn.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from fhir_profiles import samples
from fhir_profiles.terminology import load_knowledge
from hooks.pipeline import Site, answer, load_site
from hooks.request import parse_request
from hooks.services import SERVICES
from hooks.settings import Settings
from tests.records import AT
from tests.service_rig import ROOT, call_from

ZONES = ("UTC", "America/St_Johns", "Asia/Kolkata", "Pacific/Kiritimati")
LOCALES = ("C", "C.UTF-8", "POSIX")


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same with the entries of every Bundle in another order."""
    if isinstance(value, dict):
        value = {key: shuffled(child, chance) for key, child in value.items()}
        if "entry" in value:
            chance.shuffle(value["entry"])
    return [shuffled(child, chance) for child in value] if isinstance(value, list) else value


def digest(request: dict[str, Any], site: Site) -> str:
    service = next(each for each in SERVICES.values() if each.hook == request["hook"])
    body = json.dumps(request).encode()
    told = answer(body, parse_request(body, service), service, site, AT, iter(range(1000)).__next__)
    return hashlib.sha256(told.body).hexdigest()


def digests(runs: int, seed: int) -> dict[str, list[str]]:
    """Name of a chart -> the different answers that so many orders of its resources get; one, if all is well."""
    chance, site = random.Random(seed), load_site(Settings(), load_knowledge())
    told: dict[str, set[str]] = {}
    for name in samples.names():
        request = call_from(samples.load(name), samples.story(name)["hook"])
        told[name] = {digest(shuffled(request, chance), site) for _ in range(runs)} | {digest(request, site)}
    return {name: sorted(each) for name, each in told.items()}


def process(runs: int, seed: int, zone: str) -> dict[str, list[str]]:
    """The same in a process of its own."""
    environ = {"PYTHONHASHSEED": f"{seed}", "TZ": zone, "LC_ALL": LOCALES[seed % len(LOCALES)], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.determinism", "--runs", f"{runs}", "--one", f"{seed}"]
    done = subprocess.run(command, env=os.environ | environ, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def every(runs: int, seeds: int) -> Iterator[dict[str, list[str]]]:
    for seed in range(seeds):
        for zone in ZONES:
            yield process(runs, seed, zone)


def main() -> int:
    parser = argparse.ArgumentParser(description="Same in, same out.")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--one", type=int, help="only in this process, with this seed; prints the digests")
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(digests(args.runs, args.one)))
        return 0
    told = list(every(args.runs, args.seeds))
    different = {name for each in told for name in each if {*each[name]} != {told[0][name][0]}}
    said = f"{len(told[0])} charts, {args.runs} orders, {args.seeds} hash seeds, {len(ZONES)} time zones"
    print(f"{said}: {len(different)} charts with answers that differ {sorted(different) or ''}".rstrip())
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
