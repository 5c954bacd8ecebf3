"""A run of the outbox in a process that kills itself as it reaches a step, for the test of that."""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from pydantic import SecretStr

from lib.alerts import outbox
from lib.aws import open_aws
from lib.settings import Settings
from lib.store import open_store


def die(*_: Any, **__: Any) -> NoReturn:
    """End the process as the kernel does when memory is short: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def main(url: str, data_dir: str, hook: str, step: str, now: str) -> None:
    """Announce and send once; die at the step, or after the message has left."""
    at = datetime.fromisoformat(now)
    now_settings = Settings(
        data_dir=Path(data_dir),
        alert_channels={"ops": SecretStr(hook)},
        alert_private_hosts=("127.0.0.1",),
        public_address="https://sightline.example/",
    )
    setattr(outbox, step, die)
    store = open_store(url)
    outbox.announce(store, now_settings, at)
    outbox.send_due(store, now_settings, open_aws(now_settings), at)


if __name__ == "__main__":
    main(*sys.argv[1:])
