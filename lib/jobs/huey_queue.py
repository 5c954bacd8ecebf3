"""The queue: huey carries job ids, and nothing else, from whoever submits to the workers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from huey import Huey, PostgresHuey, RedisHuey, SqliteHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer

from lib.settings import Settings

QUEUE_NAME = "sightline"
TASK_NAME = "run"
JOB_ID = re.compile(rb"[0-9a-f]{32}")
POLL_S = 0.25  # only the SQLite queue is polled
BACK_OFF_S = 5.0  # the others block, and wait like this where their server is away


class JobIds(Serializer):  # type: ignore[misc] # huey has no types
    """Writes a message as its bare job id, so that nothing from the queue is ever unpickled."""

    def _serialize(self, data: Message) -> bytes:
        return str(data.args[0]).encode()

    def _deserialize(self, data: bytes) -> Message:
        if not JOB_ID.fullmatch(data):
            raise ValueError("The queue holds something that is no job id; it is dropped.")
        job_id = bytes(data).decode()
        return Message(id=job_id, name=f"{__name__}.{TASK_NAME}", args=(job_id,))


@dataclass(frozen=True)
class Queue:
    """Job ids on their way to a worker. `errors` is what its methods raise."""

    huey: Huey
    errors: tuple[type[Exception], ...]
    longest_wait_s: float

    def put(self, job_id: str) -> None:
        """Append a job id."""
        self.huey.storage.enqueue(job_id.encode())

    def waiting(self) -> frozenset[str]:
        """Return the job ids that no worker has taken yet."""
        items = (bytes(item) for item in self.huey.storage.enqueued_items())
        return frozenset(item.decode() for item in items if JOB_ID.fullmatch(item))

    def consumer(self, run: Callable[[str], None], *, threads: int, grace_s: float) -> Consumer:
        """Return huey's consumer, which calls `run` with each job id in one of its threads.

        Its graceful stop waits `grace_s` seconds for the threads.
        """

        @self.huey.task(name=TASK_NAME)  # type: ignore[untyped-decorator] # huey has no types
        def _task(job_id: str) -> None:
            run(job_id)

        return self.huey.create_consumer(
            workers=threads,
            periodic=False,
            max_delay=self.longest_wait_s,
            shutdown_timeout=grace_s,
        )


def open_queue(settings: Settings) -> Queue:
    """Return the queue at `settings.queue_url`, a SQLite file in the data folder where it is empty.

    Raises `ValueError` where the URL is of no known kind.
    """
    url = settings.queue_url.get_secret_value()
    options = {"results": False, "serializer": JobIds()}
    match url.partition("://")[0]:
        case "":
            huey = SqliteHuey(
                QUEUE_NAME, filename=str(settings.data_dir / "queue.db"), timeout=30, **options
            )
            return Queue(huey, (sqlite3.Error,), POLL_S)
        case "redis" | "rediss":
            from redis import RedisError

            return Queue(RedisHuey(QUEUE_NAME, url=url, **options), (RedisError,), BACK_OFF_S)
        case "postgres" | "postgresql":
            import psycopg

            huey = PostgresHuey(QUEUE_NAME, dsn=url, **options)
            return Queue(huey, (psycopg.Error,), BACK_OFF_S)
        case scheme:
            raise ValueError(
                f"SIGHTLINE_QUEUE_URL starts with {scheme}://, but a queue is at redis:// or "
                "postgresql://. Leave it empty for a file in the data folder."
            )
