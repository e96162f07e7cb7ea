"""Nobody notices a restart; a worker that dies takes only its own calls with it (rows 42 and 44, P12), in short.

In full: `python -m tests.restarts rolling` and `deaths`.
"""

from pathlib import Path

from tests.patience import PATIENCE
from tests.restarts import Death, Proxy, Restart, deaths, deaths_table, restarts_table, rolling, until
from tests.service_rig import running


def test_row_42_a_restart_loses_no_call(tmp_path: Path):
    with Proxy(rate=20, look_seconds=0.1) as proxy:
        (restart,) = rolling(proxy, tmp_path, times=1, drain_seconds=1)
    assert proxy.calls
    assert proxy.lost == []
    assert restart.code == 0
    assert restart.gone <= 20


def test_the_proxy_sees_calls_that_are_lost(tmp_path: Path):
    """The only server goes, without a pause."""
    with Proxy(rate=50) as proxy, running(tmp_path) as server:
        proxy.add(server.port)
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
        until(lambda: proxy.lost)


def test_row_44_a_dead_worker_takes_only_its_own_calls_with_it(tmp_path: Path):
    with Proxy(rate=20, look_seconds=0.1) as proxy:
        (death,) = deaths(proxy, tmp_path, times=1)
    assert proxy.calls
    assert death.later == 0
    assert len(proxy.lost) == death.lost


def test_what_the_tables_call_missed():
    well, ill = Restart(0.01, 6.0, 0), Restart(1.5, 21.0, 1)
    proxy = Proxy()
    assert "missed" not in restarts_table(proxy, [well])
    assert restarts_table(proxy, [well, ill]).count("missed") == 3
    assert "missed" not in deaths_table(proxy, [Death(3, 0, 0.5)])
    assert deaths_table(proxy, [Death(3, 1, 2.5)]).count("missed") == 2
    proxy.lost.append(0.0)
    assert restarts_table(proxy, [well]).count("missed") == 1
