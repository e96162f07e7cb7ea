"""Ids are drawn many at a time, and yet each is given out once (hooks/random_ids.py)."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from uuid import RFC_4122

from hooks.random_ids import random_uuid

MANY = 2000


def some(_: int) -> list[str]:
    return [str(random_uuid()) for _ in range(MANY)]


def test_they_are_uuids_of_version_4():
    assert all((each.version, each.variant) == (4, RFC_4122) for each in (random_uuid() for _ in range(MANY)))


def test_threads_never_get_the_same():
    with ThreadPoolExecutor(8) as threads:
        made = list(chain.from_iterable(threads.map(some, range(8))))
    assert len(set(made)) == 8 * MANY


def test_a_process_that_was_forked_never_gets_those_of_its_parent():
    random_uuid()
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, str(random_uuid()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 36).decode()
    for each in (reader, writer):
        os.close(each)
    assert len(theirs) == 36
    assert theirs not in {str(random_uuid()) for _ in range(MANY)}
