"""Subjects for load tests that take known times, crash, hang or answer garbage."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence


def open_known(
    engine: str, precision: str, threads: int
) -> Callable[[Sequence[str]], list[list[float]] | list[str]]:
    """Return a call that behaves as the engine is named; `precision` is its milliseconds."""
    del threads
    if engine == "unloadable":
        raise RuntimeError("The weights are not there.")
    calls = iter(range(10**9))

    def call(texts: Sequence[str]) -> list[list[float]] | list[str]:
        threading.Event().wait(float(precision) / 1_000)
        number = next(calls)
        if engine == "crashing" and number > 20:
            os._exit(3)
        if engine == "garbage" and number > 20:
            return [[float("nan")] for _ in texts]
        if engine == "talking":
            sys.stdout.write('{"rate": 1}\n')
        turned = 0.5 if engine == "different" else 0.0
        return [[1.0, turned] for _ in texts]

    return call
