"""One configuration under load, in a process of its own: `python -m lib.recommender.sweep_process`.

Threads, allocator and memory belong to a process, so configurations that share one would measure
each other. Orders come as lines of JSON on standard input, results go as lines of JSON to standard
output; what the model prints itself goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from time import perf_counter, process_time
from typing import Any

from lib.recommender.load_generator import closed_loop, open_loop, poisson_arrivals
from lib.recommender.subject import Call, Configuration, checked, open_subject

ROUNDS, STABLE, MOST_WARM_S = 3, 0.1, 10.0
KEPT_ANSWERS = 32  # that are compared with the reference


class Bench:
    """A loaded subject and the texts that it is called with, a batch at a time, round and round."""

    def __init__(self, call: Call, texts: Sequence[str], batch: int) -> None:
        self._call = call
        self._batches = [
            [texts[(at + step) % len(texts)] for step in range(batch)]
            for at in range(0, max(len(texts), batch), batch)
        ]
        self._texts = texts
        self._batch = batch
        self._next = 0

    def once(self) -> None:
        """Call the model with the next texts and check that it answers."""
        texts = self._batches[self._next % len(self._batches)]
        self._next += 1
        checked(self._call(texts), len(texts))

    def answers(self) -> list[Any]:
        """Return the answers to the first texts, one call each batch."""
        asked = self._texts[:KEPT_ANSWERS]
        found: list[Any] = []
        for low in range(0, len(asked), self._batch):
            part = asked[low : low + self._batch]
            found += checked(self._call(part), len(part))
        return [one if isinstance(one, str) else [float(value) for value in one] for one in found]

    def warm(self) -> float:
        """Call until three rounds of all texts take about as long, and return the seconds of it."""
        begun, rounds = perf_counter(), list[float]()
        while perf_counter() - begun < MOST_WARM_S:
            start = perf_counter()
            for _ in self._batches:
                self.once()
            rounds.append(perf_counter() - start)
            last = rounds[-ROUNDS:]
            if len(last) == ROUNDS and max(last) - min(last) <= STABLE * min(last):
                break
        return perf_counter() - begun

    def saturate(self, seconds: float) -> dict[str, float]:
        """Return texts a second and processor milliseconds a text, called back to back."""
        spent, begun = process_time(), perf_counter()
        calls = len(closed_loop(self.once, seconds))
        texts = calls * self._batch
        took = perf_counter() - begun
        return {"rate": texts / took, "cpu": 1_000 * (process_time() - spent) / texts,
                "cores": (process_time() - spent) / took}  # fmt: skip

    def serve(self, rate: float, seconds: float, seed: int) -> dict[str, list[float]]:
        """Return latencies in milliseconds of requests that come by chance, `rate` texts a second.

        From the intended time of a request to its answer, so that waiting counts.
        """
        arrivals = poisson_arrivals(rate / self._batch, seconds, seed)
        return {"latencies": [1_000 * one for one in open_loop(self.once, arrivals).tolist()]}


def main() -> None:
    """Load the subject that the first line names, then carry out what each further line asks."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not look like a result
    orders = (json.loads(line) for line in sys.stdin)
    bench = None
    for order in orders:
        try:
            if bench is None:
                bench, result = _load(order)
            else:
                result = _carry_out(bench, order)
        except Exception as error:  # noqa: BLE001 - a model may raise anything; the parent reports it
            result = {"error": f"{type(error).__name__}: {error}"[:300]}
        out.write(json.dumps(result, allow_nan=False) + "\n")
        out.flush()
        if bench is None:
            return


def _load(order: Mapping[str, Any]) -> tuple[Bench, dict[str, Any]]:
    begun = perf_counter()
    configuration = Configuration(**order["configuration"])
    bench = Bench(
        open_subject(order["subject"], configuration), order["texts"], configuration.batch
    )
    bench.once()
    return bench, {"setup": 1_000 * (perf_counter() - begun)}


def _carry_out(bench: Bench, order: Mapping[str, Any]) -> dict[str, Any]:
    match order:
        case {"do": "warm"}:
            return {"warm": bench.warm()}
        case {"do": "answers"}:
            return {"answers": bench.answers()}
        case {"do": "saturate", "seconds": seconds}:
            return dict(bench.saturate(seconds))
        case {"do": "serve", "rate": rate, "seconds": seconds, "seed": seed}:
            return {**bench.serve(rate, seconds, seed), "memory": _peak_memory()}
    raise ValueError(f"There is no order {order!r}.")


def _peak_memory() -> float:
    """Return the most memory that the process has held, in megabytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000


if __name__ == "__main__":
    main()
