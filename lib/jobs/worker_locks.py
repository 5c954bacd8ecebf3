"""Whether a worker lives: it holds a lock for its life, and the system frees it when it dies."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from lib.settings import Settings
from lib.store import Store

ADVISORY_CLASS = 0x5167_4C57  # any number that every Sightline worker agrees on
HELD = (
    "FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = :class AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class WorkerLocks(Protocol):
    """The locks of all workers of one store."""

    def hold(self, worker: str) -> None:
        """Take the lock of this process for the rest of its life."""

    def still_held(self) -> bool:
        """Tell whether the lock of this process is still its own."""

    def is_held(self, worker: str) -> bool:
        """Tell whether the process of a worker lives."""

    def count(self) -> int:
        """Return the number of worker processes that live."""


class FileLocks:
    """One locked file for each worker; the kernel frees the lock of a process that ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: IO[str] | None = None

    def hold(self, worker: str) -> None:
        """Take the lock of this process for the rest of its life."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unlocked = self._folder / f"{worker}.starting"
        self._held = unlocked.open("w")
        fcntl.flock(self._held, fcntl.LOCK_EX)
        # Renamed only now: nobody ever sees the file of a living worker unlocked.
        unlocked.rename(self._file(worker))

    def still_held(self) -> bool:
        """Tell whether the lock of this process is still its own."""
        return self._held is not None

    def is_held(self, worker: str) -> bool:
        """Tell whether the process of a worker lives; the file of a dead one is removed."""
        try:
            probe = self._file(worker).open()
        except FileNotFoundError:
            return False
        with probe:
            try:
                # Shared, so that two who ask at the same time do not mistake each other for it.
                fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            self._file(worker).unlink(missing_ok=True)
            return False

    def count(self) -> int:
        """Return the number of worker processes that live."""
        return sum(self.is_held(file.stem) for file in self._folder.glob("*.lock"))

    def _file(self, worker: str) -> Path:
        return self._folder / f"{worker}.lock"


class AdvisoryLocks:
    """One session-level advisory lock of PostgreSQL for each worker, across hosts.

    The server frees the lock of a session that ends (PostgreSQL manual, 13.3.5).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None

    def hold(self, worker: str) -> None:
        """Take the lock of this process for the rest of its life."""
        session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # The server notices within half a minute when the host of this worker is gone.
        for name, value in (("idle", 10), ("interval", 5), ("count", 3)):
            session.execute(text(f"SET tcp_keepalives_{name} = {value}"))
        session.execute(text("SELECT pg_advisory_lock(:class, :key)"), _lock_key(worker))
        self._session = session

    def still_held(self) -> bool:
        """Tell whether the lock of this process is still its own."""
        mine = text(f"SELECT count(*) {HELD} AND pid = pg_backend_pid()")
        try:
            return (
                self._session is not None
                and self._session.scalar(mine, {"class": ADVISORY_CLASS}) == 1
            )
        except DBAPIError:
            return False

    def is_held(self, worker: str) -> bool:
        """Tell whether the process of a worker lives."""
        query = text(f"SELECT count(*) {HELD} AND objid = :key")
        with self._engine.connect() as connection:
            return bool(connection.scalar(query, _lock_key(worker)))

    def count(self) -> int:
        """Return the number of worker processes that live."""
        query = text(f"SELECT count(*) {HELD}")
        with self._engine.connect() as connection:
            return connection.scalar(query, {"class": ADVISORY_CLASS}) or 0


def open_worker_locks(settings: Settings, store: Store) -> WorkerLocks:
    """Return the locks that reach as far as the store does: this machine, or all hosts."""
    if store.engine.dialect.name == "postgresql":
        return AdvisoryLocks(store.engine)
    return FileLocks(settings.data_dir / "workers")


def _lock_key(worker: str) -> dict[str, int]:
    return {"class": ADVISORY_CLASS, "key": int(worker[:8], 16) & 0x7FFF_FFFF}
