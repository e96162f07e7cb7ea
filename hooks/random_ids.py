"""Random ids: UUIDs of version 4, as `uuid.uuid4` makes them, from randomness that is drawn for many at a time.

`uuid4` asks the kernel each time and lets go of the interpreter meanwhile. An answer has a dozen ids, and under load
another thread is waiting at each of them: handing over takes many times as long as asking.
"""

import os
from struct import iter_unpack
from uuid import UUID

_DRAWN = 256
_pool: list[bytes] = []


def random_uuid() -> UUID:
    """Nobody can guess it, and no other process or thread has it."""
    try:
        octets = _pool.pop()
    except IndexError:
        octets, *more = (each for (each,) in iter_unpack("16s", os.urandom(16 * _DRAWN)))
        _pool.extend(more)
    return UUID(bytes=octets, version=4)


os.register_at_fork(after_in_child=_pool.clear)
