"""What a load test calls: a model under one configuration, and how alike its answers are.

A subject is named by a function, `module:function`, that is given a `Configuration` as keywords
and returns a call from texts to answers. It is loaded by name in a process of its own, so that a
domain can offer its models here without either knowing the other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

Answer = str | Sequence[float]
Call = Callable[[Sequence[str]], Sequence[Answer]]

OWN: tuple[str, ...] = ("lib.",)  # only functions of Sightline are loaded by name


class SubjectError(ValueError):
    """A subject that cannot be loaded or that answers garbage; the message says which."""


@dataclass(frozen=True)
class Configuration:
    """One way to run a model; raise ValueError on impossible values."""

    engine: str
    precision: str
    threads: int = 1
    batch: int = 1

    def __post_init__(self) -> None:
        if not (1 <= self.threads <= 256 and 1 <= self.batch <= 1024):  # noqa: PLR2004 - no machine has more
            raise ValueError("Threads are 1 to 256, and texts at once 1 to 1,024.")

    @property
    def name(self) -> str:
        """Return the configuration in words, as a row of the table has it."""
        return (
            f"{self.engine} {self.precision}, {self.threads} thread"
            f"{'' if self.threads == 1 else 's'}, batch {self.batch}"
        )


def open_subject(name: str, configuration: Configuration) -> Call:
    """Return the call of a subject; raise `SubjectError` where there is none of that name."""
    module, _, attribute = name.partition(":")
    if not module.startswith(OWN):
        raise SubjectError(f"{name!r} is no subject of Sightline.")
    factory = getattr(importlib.import_module(module), attribute, None)
    if factory is None:
        raise SubjectError(f"{name!r} is no subject of Sightline.")
    call: Call = factory(
        engine=configuration.engine,
        precision=configuration.precision,
        threads=configuration.threads,
    )
    return call


def checked(answers: Sequence[Answer], count: int) -> Sequence[Answer]:
    """Return the answers; raise `SubjectError` where one is missing, empty or not finite."""
    if len(answers) != count:
        raise SubjectError(f"The model gave {len(answers)} answers to {count} texts.")
    for one in answers:
        if isinstance(one, str):
            if not one.strip():
                raise SubjectError("The model gave an empty text as an answer.")
        elif not len(one) or not all(map(isfinite, one)):
            raise SubjectError("The model gave numbers that are not finite as an answer.")
    return answers


def agreement(answers: Sequence[Answer], reference: Sequence[Answer]) -> float:
    """Return how alike answers are, 0 to 1: the share of equal texts, or the mean cosine."""
    alike = [_alike(one, other) for one, other in zip(answers, reference, strict=True)]
    return sum(alike) / len(alike)


def _alike(one: Answer, other: Answer) -> float:
    if isinstance(one, str) or isinstance(other, str):
        return float(one == other)
    if len(one) != len(other):
        return 0.0
    import numpy as np

    first, second = np.asarray(one), np.asarray(other)
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return max(0.0, min(1.0, float(first @ second) / size)) if size else 0.0
