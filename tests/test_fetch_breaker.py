"""When a server is left alone, and when it is tried again."""

from hooks.breaker import Breaker


def failing(times: list[float]) -> Breaker:
    breaker = Breaker()
    for each in times:
        breaker.failed(each)
    return breaker


def test_four_failures_are_not_enough():
    assert failing([0, 1, 2, 3]).admits(3)


def test_five_failures_within_ten_seconds_open_it_for_ten():
    breaker = failing([0, 1, 2, 3, 10])
    assert not breaker.admits(10)
    assert not breaker.admits(19.9)
    assert breaker.admits(20)


def test_five_failures_over_a_longer_time_do_not():
    assert failing([0, 1, 2, 3, 10.1]).admits(10.1)
    assert not failing([0, 1, 2, 3, 10.1, 10.2]).admits(10.2)


def test_a_success_between_clears_them():
    breaker = failing([0, 1, 2, 3])
    breaker.succeeded()
    breaker.failed(4)
    assert breaker.admits(4)


def test_one_probe_at_a_time():
    breaker = failing([0] * 5)
    assert breaker.admits(10)
    assert not breaker.admits(10)
    breaker.succeeded()
    assert breaker.admits(10)
    assert breaker.admits(10)


def test_a_probe_that_fails_opens_it_again():
    breaker = failing([0] * 5)
    assert breaker.admits(10)
    breaker.failed(11)
    assert not breaker.admits(20.9)
    assert breaker.admits(21)


def test_a_probe_that_is_given_up_counts_as_failed():
    breaker = failing([0] * 5)
    assert breaker.admits(10)
    breaker.abandoned(11)
    assert not breaker.admits(20.9)
    assert breaker.admits(21)


def test_a_request_that_is_given_up_says_nothing_otherwise():
    breaker = failing([0] * 4)
    breaker.abandoned(1)
    assert breaker.admits(1)


def test_failures_of_requests_sent_before_do_not_prolong_the_rest():
    breaker = failing([0] * 5)
    breaker.failed(9)
    assert breaker.admits(10)
