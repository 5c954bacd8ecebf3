"""The rows of a dataset as a table that ibis can aggregate: files here, queries where the data is.

Files are read by DuckDB with every column as text, so that what is not a number is counted and not
lost. Queries run in their own database, whose types are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.aws import Aws
from lib.metrics.model import MetricsError, SourceKind
from lib.settings import Settings
from lib.store import utc_now

if TYPE_CHECKING:
    import ibis

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".jsonl", ".ndjson", ".json", ".parquet")
MAX_FILES = 10_000
MAX_BUCKET_BYTES = 20 << 30
MAX_QUERY_CHARACTERS = 20_000
TEXT_PROBE_BYTES = 1 << 20
_NAME = re.compile(r"[\w][\w .()+-]{0,150}", re.ASCII)

SET_ROOTS = (
    "No folder of this machine may be watched: set SIGHTLINE_METRICS_ROOTS to those that may, for "
    'example to ["/srv/measures"], and start again.'
)


@dataclass(frozen=True, eq=False)
class Rows:
    """An open table. `is_text` tells whether every column is text and has yet to be understood."""

    table: ibis.Table
    is_text: bool


@contextmanager
def open_rows(
    source: Mapping[str, str], settings: Settings, aws: Aws, since: datetime | None = None
) -> Iterator[Rows]:
    """Yield the rows of a source; the sample starts at `since` where that is given.

    Raises `MetricsError` with a sentence where there are none, `AwsError` where AWS refuses.
    """
    try:
        kind = SourceKind(source.get("kind", ""))
    except ValueError as error:
        raise MetricsError(f"{source.get('kind')!r} is no kind of source.") from error
    if kind is SourceKind.SAMPLE:
        yield Rows(_sample(since), is_text=False)
    elif kind is SourceKind.SQL:
        with _query(source, settings) as rows:
            yield rows
    else:
        yield _files(_paths(kind, source, settings, aws))


def keep_upload(settings: Settings, dataset: str, name: str, content: bytes) -> dict[str, str]:
    """Return the source of an uploaded file, kept in the data folder under the id of a dataset.

    Raises `MetricsError` for a name or type that is none of ours, or no content.
    """
    plain = Path(name).name
    if not _NAME.fullmatch(plain) or not plain.lower().endswith(SUFFIXES):
        raise MetricsError(f"{plain!r} is no file of measures: {', '.join(SUFFIXES)} are read.")
    if not content:
        raise MetricsError(f"{plain} is empty.")
    folder = upload_folder(settings, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{plain}.part"
    aside.write_bytes(content)
    aside.replace(folder / plain)
    return {"kind": SourceKind.UPLOAD, "dataset": dataset, "name": plain}


def upload_folder(settings: Settings, dataset: str) -> Path:
    """Return where the uploaded files of a dataset lie."""
    if not re.fullmatch(r"[0-9a-f]{32}", dataset):
        raise MetricsError("This dataset is unknown.")
    return settings.data_dir / "metrics" / "uploads" / dataset


def checked_folder(path: str, settings: Settings) -> Path:
    """Return a file or folder below one of the roots; raises `MetricsError` for any other."""
    if not settings.metrics_roots:
        raise MetricsError(SET_ROOTS)
    found = Path(path).resolve()
    if not any(found.is_relative_to(root.resolve()) for root in settings.metrics_roots):
        roots = ", ".join(map(str, settings.metrics_roots))
        raise MetricsError(f"{path} lies in none of the folders that may be watched: {roots}.")
    if not found.exists():
        raise MetricsError(f"{path} does not exist.")
    return found


def checked_query(query: str) -> str:
    """Return one SELECT without its semicolon; raises `MetricsError` for anything else."""
    import sqlglot
    from sqlglot import exp

    text = query.strip().rstrip(";").strip()
    if not text or len(text) > MAX_QUERY_CHARACTERS:
        raise MetricsError(f"A query has between 1 and {MAX_QUERY_CHARACTERS:,} characters.")
    try:
        parsed = sqlglot.parse(text)
    except sqlglot.errors.ParseError as error:
        raise MetricsError(f"The query cannot be read: {str(error).splitlines()[0]}") from error
    writes = (exp.Insert, exp.Update, exp.Delete, exp.DDL, exp.Command, exp.Into)
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query) or parsed[0].find(*writes):
        raise MetricsError("Only one SELECT is run: no other statement, and nothing that writes.")
    return text


def _sample(since: datetime | None) -> ibis.Table:
    import ibis

    from lib.metrics.samples import HISTORY_DAYS, shop_rows

    end = utc_now().replace(minute=0, second=0, microsecond=0)
    return ibis.memtable(shop_rows(since or end - timedelta(days=HISTORY_DAYS), end))


def _paths(kind: SourceKind, source: Mapping[str, str], settings: Settings, aws: Aws) -> list[Path]:
    if kind is SourceKind.UPLOAD:
        name = Path(source.get("name", "")).name
        path = upload_folder(settings, source.get("dataset", "")) / name
        if not path.is_file():
            raise MetricsError(f"The uploaded file {name} is no longer here: upload it again.")
        return [path]
    if kind is SourceKind.FOLDER:
        return _found(checked_folder(source.get("path", ""), settings))
    from lib.metrics.bucket import fetch

    folder = settings.data_dir / "metrics" / "buckets"
    return _found(fetch(aws, source.get("bucket", ""), source.get("prefix", ""), folder))


def _found(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    base = place.resolve()
    files = sorted(
        path
        for path in place.rglob("*")
        if path.name.lower().endswith(SUFFIXES)
        and not path.name.startswith(".")
        and path.is_file()
        and path.resolve().is_relative_to(base)  # no link that leads elsewhere
    )
    if not files:
        raise MetricsError(f"There is no file of measures in {place}: {', '.join(SUFFIXES)}.")
    if len(files) > MAX_FILES:
        raise MetricsError(f"There are more than {MAX_FILES:,} files in {place}.")
    kinds = {_format(path) for path in files}
    if len(kinds) > 1:
        raise MetricsError(f"The files in {place} are of several formats: {', '.join(kinds)}.")
    return files


def _format(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".parquet"):
        return "Parquet"
    return "JSON Lines" if name.endswith((".jsonl", ".ndjson", ".json")) else "CSV"


def _files(paths: list[Path]) -> Rows:
    import duckdb
    import ibis

    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    names = [str(path) for path in paths]
    kind = _format(paths[0])
    try:
        if kind == "Parquet":
            return Rows(connection.read_parquet(names), is_text=False)
        if kind == "JSON Lines":
            table = connection.read_json(names, format="newline_delimited")
            return Rows(table.cast(dict.fromkeys(table.columns, "string")), is_text=True)
        options: dict[str, Any] = {"all_varchar": True, "encoding": _encoding(paths[0])}
        table = connection.read_csv(names, header=True, union_by_name=True, **options)
        return Rows(table, is_text=True)
    except (duckdb.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise MetricsError(f"{paths[0].name} cannot be read as {kind}: {reason}") from error


def _encoding(path: Path) -> str:
    if path.name.lower().endswith(".gz"):
        return "utf-8"
    with path.open("rb") as file:
        start = file.read(TEXT_PROBE_BYTES)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:
            return "latin-1"
    return "utf-8"


@contextmanager
def _query(source: Mapping[str, str], settings: Settings) -> Iterator[Rows]:
    import ibis
    import psycopg
    from ibis.common.exceptions import IbisError

    name = source.get("database", "")
    if name not in settings.metrics_databases:
        known = ", ".join(settings.metrics_databases) or "none"
        raise MetricsError(
            f"The database {name!r} is not set: SIGHTLINE_METRICS_DATABASES names {known}."
        )
    query = checked_query(source.get("query", ""))
    url = settings.metrics_databases[name].get_secret_value()
    if url.startswith("sqlite:///"):
        with _sqlite_rows(Path(url.removeprefix("sqlite:///")), query) as rows:
            yield rows
        return
    try:
        connection = ibis.connect(url)
        if connection.name == "postgres":
            connection.raw_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        table = connection.sql(query)
    except ModuleNotFoundError as error:
        raise MetricsError(f"The database {name} needs the Python package {error.name}.") from error
    except (psycopg.Error, IbisError, OSError) as error:
        reason = _without(url, str(error).splitlines()[0])
        raise MetricsError(f"The query on {name} failed: {reason}") from None
    try:
        yield Rows(table, is_text=False)
    finally:
        connection.disconnect()


@contextmanager
def _sqlite_rows(path: Path, query: str) -> Iterator[Rows]:
    # SQLite has no types for times, so its rows are copied to DuckDB as text.
    import sqlite3

    import ibis
    import pyarrow as pa

    if not path.is_file():
        raise MetricsError(f"The database file {path.name} does not exist.")
    target = ibis.duckdb.connect()
    target.raw_sql("SET TimeZone = 'UTC'")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            cursor = connection.execute(query)
        except sqlite3.Error as error:
            raise MetricsError(f"The query on {path.name} failed: {error}.") from error
        names = [column[0] for column in cursor.description]
        schema = pa.schema([(name, pa.string()) for name in names])

        def batches() -> Iterator[pa.RecordBatch]:
            while rows := cursor.fetchmany(50_000):
                columns = [
                    pa.array([None if cell is None else str(cell) for cell in column], pa.string())
                    for column in zip(*rows, strict=True)
                ]
                yield pa.record_batch(columns, schema=schema)

        table = target.create_table("rows", schema=ibis.schema(dict.fromkeys(names, "string")))
        for batch in batches():
            target.insert("rows", pa.Table.from_batches([batch]))
        yield Rows(table, is_text=True)


def _without(secret: str, text: str) -> str:
    hidden = text.replace(secret, "…")
    password = re.search(r"://[^:/@]*:([^@]+)@", secret)
    return hidden.replace(password[1], "…") if password else hidden
