"""Ids are drawn many at a time, and yet each is given out once (hooks/random_ids.py)."""

import subprocess
import sys
from uuid import RFC_4122

from hooks.random_ids import random_uuid
from tests.service_rig import ROOT


def test_they_are_uuids_of_version_4():
    assert {(each.version, each.variant) for each in (random_uuid() for _ in range(1000))} == {(4, RFC_4122)}


def test_a_process_that_was_forked_never_gets_those_of_its_parent():
    made = """
import os
from hooks.random_ids import random_uuid

random_uuid()
child = os.fork()
print(*(random_uuid() for _ in range(20)), sep="\\n", flush=True)
if child:
    os.waitpid(child, 0)
"""
    ran = subprocess.run([sys.executable, "-c", made], cwd=ROOT, capture_output=True, text=True)
    assert (len(set(ran.stdout.splitlines())), ran.stderr) == (40, "")
