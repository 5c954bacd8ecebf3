from __future__ import annotations

import importlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, make_url, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from lib.store import AuditRow, Base, Store, UtcDateTime, open_store, utc_now

sys.path.append(str(Path(__file__).parent))
servers = importlib.import_module("servers")

ROOT = Path(__file__).parent.parent
WRITE_ROWS = """
import sys
from lib.store import AuditRow, open_store, utc_now
store = open_store(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with store.write() as session:
        session.add(AuditRow(at=utc_now(), who="me", action="test"))
"""
COUNT_UP = """
import sys
from lib.store import AuditRow, open_store
store = open_store(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with store.write() as session:
        row = session.get_one(AuditRow, 1, with_for_update=True)
        row.detail = str(int(row.detail) + 1)
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with servers.postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a folder' / 'sightline.db'}"
    server = make_url(request.getfixturevalue("postgres")).set(drivername="postgresql+psycopg")
    name = f"store_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


def audit_row(detail: str = "") -> AuditRow:
    return AuditRow(at=utc_now(), who="me", action="test", detail=detail)


def count_rows(store: Store) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(AuditRow)) or 0


def run_at_once(code: str, url: str, times: int, processes: int) -> None:
    running = [
        subprocess.Popen(  # this Python, our own code
            [sys.executable, "-c", code, url, str(times)], cwd=ROOT
        )
        for _ in range(processes)
    ]
    assert [process.wait() for process in running] == [0] * processes


def test_migrations_give_the_tables_of_the_models(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_keeps_what_is_there(url: str, store: Store) -> None:
    with store.write() as session:
        session.add(audit_row())
    again = open_store(url)
    assert count_rows(again) == 1
    again.close()


def test_several_processes_may_open_a_new_store_at_the_same_time(url: str) -> None:
    run_at_once(WRITE_ROWS, url, times=1, processes=3)
    store = open_store(url)
    assert count_rows(store) == 3
    store.close()


def test_processes_that_write_at_the_same_time_lose_nothing(url: str, store: Store) -> None:
    with store.write() as session:
        session.add(audit_row("0"))
    run_at_once(COUNT_UP, url, times=100, processes=2)
    with store.read() as session:
        assert session.get_one(AuditRow, 1).detail == "200"


def test_what_a_failed_write_did_is_undone(store: Store) -> None:
    def fail_after_writing() -> None:
        with store.write() as session:
            session.add(audit_row())
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail_after_writing()
    assert count_rows(store) == 0


def test_what_a_read_changes_is_dropped(store: Store) -> None:
    with store.read() as session:
        session.add(audit_row())
        session.flush()
    assert count_rows(store) == 0


def test_a_time_comes_back_as_the_same_moment_in_utc(store: Store) -> None:
    there = datetime(2026, 3, 29, 2, 30, 0, 123456, timezone(timedelta(hours=-7)))
    with store.write() as session:
        session.add(AuditRow(at=there, who="me", action="test"))
    with store.read() as session:
        back = session.scalars(select(AuditRow)).one().at
    assert (back, back.tzinfo) == (there, UTC)


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    def write_naive_time() -> None:
        with store.write() as session:
            session.add(AuditRow(at=datetime(2026, 1, 1), who="me", action="test"))  # noqa: DTZ001 # the case

    with pytest.raises(StatementError, match="needs a time zone"):
        write_naive_time()


@given(st.datetimes(timezones=st.timezones()))
def test_times_survive_a_database_that_keeps_no_zone(moment: datetime) -> None:
    column, dialect = UtcDateTime(), sqlite.dialect()
    try:
        bound = column.process_bind_param(moment, dialect)
    except OverflowError:  # year 1 or 9999, pushed out of range by its zone
        return
    assert bound is not None
    assert column.process_result_value(bound.replace(tzinfo=None), dialect) == bound
    assert bound.utcoffset() == timedelta(0)
    assert bound == moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////a folder/sightline.db", "SQLite, sightline.db"),
        (
            "postgresql+psycopg://me:very-secret@db.example/facts",
            "PostgreSQL, facts on db.example",
        ),
    ],
)
def test_the_description_names_the_place_and_not_the_password(url: str, expected: str) -> None:
    assert Store(create_engine(url)).description == expected
