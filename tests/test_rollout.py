"""Silent changes no byte, and a switch reaches every worker (promise P14), in the size that a test run can afford.

`python -m tests.rollout` has the full size.
"""

import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from hooks.ledger.database import open_ledger, sqlite_url
from hooks.ledger.schema import change
from hooks.states import OFF
from tests.jwks_rig import PUBLIC_URL, bearer, registered, token
from tests.patience import until
from tests.records import condition
from tests.rollout import HALF, answered, asked, differing, followed, switch
from tests.service_rig import Server, call, groups, path_of, running

PATH = path_of("patient-view")
EMERGENCY = call("patient-view", condition("urinary-retention", 3))


def shown(server: Server) -> set[str]:
    return set(groups(server.http.post(PATH, json=EMERGENCY).json()))


def test_silent_answers_as_off_does():
    requests = asked(150)
    assert differing(requests) == 0
    assert any(id_ in body for each in requests for id_ in HALF if (body := answered(each, OFF).decode()))


def test_every_worker_follows_a_switch_under_load(tmp_path: Path):
    took = followed(tmp_path, workers=4, threads=4, quiet=1.0)
    assert max(took) < 60


def test_a_switch_outlives_the_server_and_is_filed_once(tmp_path: Path):
    config = f'data_dir = "{tmp_path}"\n'
    (tmp_path / "settings.toml").write_text(config)
    switch(tmp_path / "settings.toml", "off")
    with running(tmp_path, 2, config) as server:
        assert "emergency" not in shown(server)
        rows = until_filed(tmp_path)
    assert [(row.criterion, row.state, row.who, row.why, row.issuer) for row in rows] == [
        ("cauda-equina", "off", "tests", "a trial", "")
    ]


def until_filed(folder: Path) -> list[Any]:
    """The changes in the ledger, as soon as there are any."""

    def filed() -> list[Any]:
        with ledger.read() as connection:
            return list(connection.execute(select(change)))

    with closing(open_ledger(sqlite_url(folder / "ledger.sqlite3"))) as ledger:
        return until(filed)


def test_damage_under_way_keeps_the_switch_also_in_a_worker_that_is_replaced(tmp_path: Path):
    config = f'data_dir = "{tmp_path}"\n'
    with running(tmp_path, 1, config) as server:
        switch(tmp_path / "settings.toml", "off")
        until(lambda: "emergency" not in shown(server))
        (tmp_path / "switches.toml").write_text("[[switch]")
        workers = server.workers
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        until(lambda: is_answering(server) and not set(workers) & set(server.workers))
        assert "emergency" not in shown(server)
    assert '"alarm":"switch-file"' in server.log
    with pytest.raises(RuntimeError, match=r"switches\.toml"), running(tmp_path, 1, config):
        pass


def is_answering(server: Server) -> bool:
    try:
        return server.http.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def test_one_client_can_be_switched_by_itself(tmp_path: Path):
    config = registered(tmp_path, f'data_dir = "{tmp_path}"') + '\nstates.cauda-equina = "off"\n'
    with running(tmp_path, 1, config) as server:
        told = server.http.post(PATH, json=EMERGENCY, headers=bearer(token(PUBLIC_URL + PATH)))
        assert set(groups(told.json())) == {"not-assessed"}
