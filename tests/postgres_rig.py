"""A PostgreSQL server of our own: real, private, on a free port, gone with the tests that wanted it."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.patience import PATIENCE, until
from tests.service_rig import free_port

_USER = "postgres"
_QUICK = {  # what a crash may not lose is the same; checkpoints and shared memory are smaller
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "autovacuum": "off",
    "recovery_init_sync_method": "syncfs",
    "log_min_messages": "fatal",
}


class Postgres:
    """One cluster in a folder. Its server may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._server: subprocess.Popen | None = None
        self._emptied = ""
        made = self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", _USER)
        said = made.communicate(timeout=PATIENCE)[1].decode()
        assert made.returncode == 0, f"initdb: {said}"

    def start(self) -> None:
        """Returns when it takes connections, recovered from whatever happened before; also when it runs already."""
        if self._server:
            return
        options = (f"-c{name}={value}" for name, value in _QUICK.items())
        self._server = self._run("postgres", f"-p{self.port}", *options)
        self.await_ready()

    def await_ready(self) -> None:
        """Returns when it takes connections."""

        def answers() -> bool:
            assert self._server is None or self._server.poll() is None, "PostgreSQL ended before it was ready"
            return self._answers()

        until(answers)

    def stop(self) -> None:
        """In good order, whoever is connected."""
        self._end(signal.SIGINT)

    @property
    def pid(self) -> int:
        """Of the process whose children serve the connections; 0 when it does not run."""
        return self._server.pid if self._server else 0

    def kill(self) -> None:
        """`kill -9` of the whole server, as the kernel does it when memory runs out."""
        parent = self.pid
        if not parent:
            return
        for process in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        self._end(signal.SIGKILL)

    def emptied(self) -> str:
        """The URL of a database that every test may have for itself in turn: quicker than a new one."""
        self._emptied = self._emptied or self.new_database()
        with psycopg.connect(self._emptied, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return self._emptied

    def new_database(self) -> str:
        """The URL of an empty database that nobody else gets."""
        name = f"ledger_{uuid4().hex[:12]}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._address(name)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, how: signal.Signals) -> None:
        if self._server:
            self._server.send_signal(how)
            self._server.communicate(timeout=PATIENCE)
            self._server = None

    def _address(self, database: str) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> subprocess.Popen:
        """As another user where we are root, for then PostgreSQL does not start."""
        command = [str(programs() / program), "-D", str(self._folder), *arguments]
        user = {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **user
        )


@cache
def programs() -> Path:
    """Where PostgreSQL's server programs are."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    assert versions, "these tests need PostgreSQL: initdb is neither in the PATH nor below /usr/lib/postgresql"
    return versions[-1].parent


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A running server. Its folder belongs to the user it runs as."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        server = Postgres(folder / "data")
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
