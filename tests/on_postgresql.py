"""Runs the tests that need PostgreSQL on an installed server: ``python -m tests.on_postgresql BIN [ARGUMENTS]``.

Owns that server: made in a folder of its own, on a free port of the loopback, with a password that nobody else knows,
and gone afterwards. Started by root, it runs as the user ``postgres``, since it refuses to run as root. By default the
contract suite and the integration and acceptance tests of PostgreSQL run, but for those that stop their server, which
have to be its owners.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import VARIABLE
from tests.support.watching import watched
from tools.bench.ports import free_port

TESTS = (
    "tests/contract/test_reads.py",
    "tests/contract/test_writes.py",
    "tests/contract/test_recorder.py",
    "tests/contract/test_erasure.py",
    "tests/contract/projections",
    "tests/integration/test_store_postgres.py",
    "tests/integration/test_postgres_roles.py",
    "tests/integration/test_audit_places.py",
    "tests/integration/test_init_killed.py",
    "tests/acceptance/test_postgresql.py",
)
OWNER = "continuity"


@contextmanager
def installed(programs: Path) -> Iterator[str]:
    """A server from the programs in a folder; its URL. Raises ``CalledProcessError`` when it does not start."""
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="continuity-postgresql-"))
    password = secrets.token_urlsafe(16)

    def run(*command: str) -> None:
        subprocess.run([str(programs / command[0]), *command[1:]], user=user, cwd=folder, check=True)

    try:
        (folder / "password").write_text(password)
        if user is not None:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
            shutil.chown(folder / "password", user)
        data, port = str(folder / "data"), free_port()
        run("initdb", "-D", data, "-U", OWNER, "-A", "scram-sha-256", "--pwfile", "password", "-E", "UTF8", "--no-sync")
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c max_connections=200 -c fsync=off"
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        with watched(folder, [str(programs / "pg_ctl"), "-D", data, "-w", "-m", "immediate", "stop"], user):
            try:
                yield f"postgresql://{OWNER}:{password}@127.0.0.1:{port}/postgres"
            finally:
                run("pg_ctl", "-D", data, "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Start the server, run the tests, stop it; pytest's exit code."""
    if len(sys.argv) < 2 or not (Path(sys.argv[1]) / "pg_ctl").exists():
        sys.exit("which server? give the folder of its programs: make test-postgresql PG=/usr/lib/postgresql/15/bin")
    arguments = sys.argv[2:] or [*TESTS, "-m", "not slow"]
    with installed(Path(sys.argv[1])) as url:
        tests = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(tests, env=os.environ | {VARIABLE: url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
