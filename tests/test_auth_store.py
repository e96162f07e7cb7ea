"""What workers know together: used tokens and rates (R159; rows 25 and 40)."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from hooks.rate import retry_after, take
from hooks.replay import open_store, transaction, use

NOW = 1_800_000_000.0
A, B = "https://a.example.org", "https://b.example.org"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_store(tmp_path)) as opened:
        yield opened


def test_r159_a_token_is_used_once_an_issuer(store: sqlite3.Connection):
    assert use(store, A, "j", NOW + 300, NOW)
    assert not use(store, A, "j", NOW + 300, NOW)
    assert use(store, B, "j", NOW + 300, NOW)
    assert use(store, A, "k", NOW + 300, NOW)
    assert use(store, "a b", "c", NOW + 300, NOW)
    assert use(store, "a", "b c", NOW + 300, NOW)


def test_it_is_known_until_the_token_has_expired(store: sqlite3.Connection):
    use(store, A, "j", NOW + 300, NOW)
    assert not use(store, A, "j", NOW + 300, NOW + 300)
    assert use(store, A, "j", NOW + 600, NOW + 301)


def test_used_tokens_are_forgotten_in_time(store: sqlite3.Connection):
    for number in range(250):
        use(store, A, str(number), NOW + 1, NOW)
    for number in range(3):
        use(store, B, str(number), NOW + 100, NOW + 2)
    assert store.execute("SELECT count(*) FROM used").fetchone() == (3,)


def test_it_is_known_after_a_restart(store: sqlite3.Connection, tmp_path: Path):
    use(store, A, "j", NOW + 300, NOW)
    store.close()
    with closing(open_store(tmp_path)) as again:
        assert not use(again, A, "j", NOW + 300, NOW)


def test_what_is_undone_leaves_no_trace(store: sqlite3.Connection):
    def failing() -> None:
        with transaction(store):
            use(store, A, "j", NOW + 300, NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    with transaction(store):
        assert use(store, A, "j", NOW + 300, NOW)


def test_many_workers_at_once_use_a_token_once(tmp_path: Path):
    open_store(tmp_path).close()

    def worker(_: int) -> int:
        store = open_store(tmp_path)
        used = 0
        for number in range(20):
            with transaction(store):
                used += use(store, A, str(number), NOW + 300, NOW)
        store.close()
        return used

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(worker, range(8))) == 20


def test_nothing_of_a_token_is_stored_in_the_clear(store: sqlite3.Connection, tmp_path: Path):
    use(store, A, "the-jti-itself", NOW + 300, NOW)
    store.close()
    assert b"the-jti-itself" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


# --- rate ----------------------------------------------------------------------------------------------


def taken(store: sqlite3.Connection, calls: int, rate: float, now: float, issuer: str = A) -> int:
    return sum(take(store, issuer, rate, now) for _ in range(calls))


@pytest.mark.parametrize(("rate", "burst"), [(50, 50), (3, 3), (1, 1), (0.5, 1), (2.5, 2)])
def test_a_second_of_calls_at_once_and_then_the_rate(store: sqlite3.Connection, rate: float, burst: int):
    assert taken(store, 200, rate, NOW) == burst
    assert taken(store, 200, rate, NOW + 0.999 / rate) <= 1
    later = sum(taken(store, 10, rate, NOW + 2 + step / 100) for step in range(1000))
    assert abs(later - 10 * rate) <= burst + 1


def test_the_issuers_do_not_share_a_rate(store: sqlite3.Connection):
    assert taken(store, 9, 5, NOW) == 5
    assert taken(store, 9, 5, NOW, B) == 5


def test_after_the_wait_that_was_told_a_call_is_let_in(store: sqlite3.Connection):
    for rate in (0.3, 1, 7, 50):
        assert taken(store, 200, rate, NOW, str(rate)) >= 1
        assert take(store, str(rate), rate, NOW + retry_after(rate))


def test_a_clock_set_back_shuts_nobody_out(store: sqlite3.Connection):
    assert taken(store, 9, 5, NOW) == 5
    assert taken(store, 9, 5, NOW - 3600) == 5


def test_a_lower_rate_after_a_restart_shuts_nobody_out(store: sqlite3.Connection):
    taken(store, 9, 0.01, NOW)
    assert take(store, A, 50, NOW)
