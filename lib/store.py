"""The store: tables and transactions over SQLite (one file, the default) or PostgreSQL."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Index,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x5167_4C_1E  # any number that every Sightline process agrees on
BUSY_TIMEOUT_S = 30


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps no time zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC; refuse one without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time in the store needs a time zone.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the stored time as an aware UTC time."""
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of the store."""

    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON}


class JobRow(Base):
    """One piece of background work; `lib.jobs` alone writes it."""

    __tablename__ = "job"
    __table_args__ = (
        Index("job_state_created", "state", "created_at"),
        Index("job_title_created", "title", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    function: Mapped[str] = mapped_column(String(200))
    title: Mapped[str] = mapped_column(String(200))
    arguments: Mapped[dict[str, Any]]
    owner: Mapped[str] = mapped_column(String(200), index=True)
    state: Mapped[str] = mapped_column(String(16))
    step: Mapped[str] = mapped_column(String(200), default="")
    progress: Mapped[float] = mapped_column(default=0.0)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str] = mapped_column(Text, default="")
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=1)
    worker: Mapped[str | None] = mapped_column(String(64))
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class SignInRow(Base):
    """One signed-in browser; `lib.identity` alone writes it. The id is a digest, never a token."""

    __tablename__ = "sign_in"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    username: Mapped[str] = mapped_column(String(200), index=True)
    method: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class FailedSignInRow(Base):
    """One refused password, kept as long as it counts towards a lockout."""

    __tablename__ = "failed_sign_in"
    __table_args__ = (Index("failed_sign_in_who", "username", "address", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    username: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class AuditRow(Base):
    """One state change: who did what to which thing, and when."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    who: Mapped[str] = mapped_column(String(200), index=True)
    action: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(String(200), default="")
    detail: Mapped[str] = mapped_column(Text, default="")


class SavedSearchRow(Base):
    """One search that a user keeps under a name; `lib.search.saved` alone writes it."""

    __tablename__ = "saved_search"
    __table_args__ = (UniqueConstraint("owner", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    owner: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(100))
    view: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]


class SearchCollectionRow(Base):
    """One collection of documents to search; `lib.search.collections` alone writes it."""

    __tablename__ = "search_collection"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    folded_name: Mapped[str] = mapped_column(String(200), unique=True)  # case ignored
    source: Mapped[dict[str, Any]]
    added_by: Mapped[str] = mapped_column(String(200))
    added_at: Mapped[datetime]


class DetectorRow(Base):
    """One detector of anomalies; `lib.metrics.detectors` alone writes it."""

    __tablename__ = "detector"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(63))
    folded_name: Mapped[str] = mapped_column(String(200), unique=True)  # case ignored
    description: Mapped[str] = mapped_column(String(256))
    dataset: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    problem: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class EvaluatedIntervalRow(Base):
    """One interval that a detector has evaluated, in the transaction that stored its groups."""

    __tablename__ = "evaluated_interval"

    detector: Mapped[str] = mapped_column(String(32), primary_key=True)
    start: Mapped[datetime] = mapped_column(primary_key=True)
    evaluated_at: Mapped[datetime]
    rows: Mapped[int]
    late: Mapped[bool]  # evaluated after more than an interval's delay, catching up


class AnomalyGroupRow(Base):
    """One anomaly group; `lib.metrics.groups_store` alone writes it."""

    __tablename__ = "anomaly_group"
    __table_args__ = (
        Index("anomaly_group_time", "detector", "start"),
        Index("anomaly_group_severity", "detector", "severity"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    detector: Mapped[str] = mapped_column(String(32))
    measure: Mapped[str] = mapped_column(String(256))
    kind: Mapped[str] = mapped_column(String(16))
    direction: Mapped[str] = mapped_column(String(16))
    start: Mapped[datetime]
    end: Mapped[datetime]
    severity: Mapped[float]
    series_count: Mapped[int]
    detail: Mapped[dict[str, Any]]  # the whole `AnomalyGroup`
    found_at: Mapped[datetime]
    announced_at: Mapped[datetime | None] = mapped_column(index=True)  # None: alerts look at it


class FeedbackRow(Base):
    """What somebody said of a group or one of its series: whether it is real."""

    __tablename__ = "anomaly_feedback"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    group: Mapped[str] = mapped_column(String(32), index=True)
    series: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))  # None: all of it
    is_anomaly: Mapped[bool]
    who: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]
    undone_by: Mapped[str | None] = mapped_column(String(200))
    undone_at: Mapped[datetime | None]


class AlertRow(Base):
    """One alert of a detector as it is now; `lib.alerts.rules` alone writes it."""

    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("detector", "folded_name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    detector: Mapped[str] = mapped_column(String(32), index=True)
    name: Mapped[str] = mapped_column(String(63))
    folded_name: Mapped[str] = mapped_column(String(200))
    version: Mapped[int]  # counts edits; an edit names the one it was made from
    rule: Mapped[dict[str, Any]]
    last_sent_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class AlertVersionRow(Base):
    """One edit of an alert: what it became, by whom and when."""

    __tablename__ = "alert_version"

    alert: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[dict[str, Any]]
    change: Mapped[str] = mapped_column(String(16))  # created, edited, deleted, restored, ...
    who: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class NotificationRow(Base):
    """One message of an alert: written with the groups, delivered later, kept as the inbox."""

    __tablename__ = "notification"
    __table_args__ = (Index("notification_due", "state", "due_at"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # the idempotency key
    alert: Mapped[str] = mapped_column(String(32), index=True)
    detector: Mapped[str] = mapped_column(String(32))
    groups: Mapped[list[Any]] = mapped_column(JSON)  # ids; several in a digest
    channel: Mapped[dict[str, Any]]
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))  # waiting, sent, dead, muted
    attempts: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(index=True)
    due_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    format: Mapped[str] = mapped_column(String(16))


class Store:
    """An open store. Threads and processes may share the file; each call opens its own session."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session that sees one consistent state; what it changes is dropped."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session whose changes are committed together, or not at all on an exception."""
        writer = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with Session(writer, expire_on_commit=False) as session, session.begin():
            yield session

    @property
    def description(self) -> str:
        """Return kind and place of the database, without its password."""
        url = self.engine.url
        if url.get_backend_name() == "sqlite":
            return f"SQLite, {Path(url.database or '').name}"
        return f"PostgreSQL, {url.database} on {url.host or 'this machine'}"

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(url: str) -> Store:
    """Return the store at an SQLAlchemy URL, created or migrated to the newest tables.

    Raises `sqlalchemy.exc.OperationalError` where the database cannot be reached.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    _migrate(engine)
    return Store(engine)


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def _prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    # The driver must not open transactions by itself, or BEGIN IMMEDIATE comes too late.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _one_migration_at_a_time(engine), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _one_migration_at_a_time(engine: Engine) -> Iterator[None]:
    if engine.url.get_backend_name() == "sqlite":
        with Path(f"{engine.url.database}.migration-lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    else:
        with engine.connect() as connection:
            key = {"key": MIGRATION_LOCK}
            connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
            connection.commit()
            yield
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
