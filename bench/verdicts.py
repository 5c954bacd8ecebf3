"""Verdicts on recorded runs whose bottleneck was made, and on generated ones; all must be right.

The recorded runs ship with Sightline. Generated: systems with accelerators whose measures are those
of a known bottleneck, at several seeds, and some that cannot tell.
"""

from __future__ import annotations

import numpy as np

from bench.result import Row
from lib.training.folder import open_profile
from lib.training.model import Profile
from lib.training.runs import SAMPLES
from lib.training.verdict import Bound, judge
from tests.training.profiles import system

RECORDED = {
    "single": Bound.COMPUTE,
    "single_slow": Bound.DATA,
    "single_slow_w2": Bound.COMPUTE,
    "ddp": Bound.COMPUTE,
    "ddp_slow": Bound.DATA,
    "ddp_straggler": Bound.COMMUNICATION,
    "fsdp": Bound.COMPUTE,
    "pp": Bound.UNKNOWN,
}
GENERATED = {  # accelerator, its memory, cores, waiting for I/O: percent
    Bound.DATA: (15.0, 40.0, 20.0, 45.0),
    Bound.CPU: (20.0, 40.0, 92.0, 2.0),
    Bound.COMPUTE: (88.0, 60.0, 30.0, 2.0),
    Bound.MEMORY: (85.0, 97.0, 30.0, 2.0),
    Bound.IDLE: (2.0, 20.0, 4.0, 1.0),
    Bound.UNKNOWN: (45.0, 40.0, 45.0, 5.0),
}
SEEDS, QUICK_SEEDS = 20, 5


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - the signature of every bench
    """Return how many verdicts are right, by kind."""
    rows = []
    right = 0
    for name, bound in RECORDED.items():
        found = judge(open_profile(SAMPLES / f"{name}.zip"))
        right += found.bound is bound
        print(f"{name}: {found.bound} ({found.share:.0%}); made: {bound}")
    count = len(RECORDED)
    rows.append(Row("recorded runs", "right", f"of {count}", "higher", right, {}, f"{count}",
                    right == count))  # fmt: skip
    for bound, levels in GENERATED.items():
        seeds = QUICK_SEEDS if quick else SEEDS
        made: list[Profile] = [system(levels, np.random.default_rng(seed)) for seed in range(seeds)]
        right = sum(judge(one).bound is bound for one in made)
        rows.append(Row(f"generated, {bound}", "right", f"of {seeds}", "higher", right, {},
                        f"{seeds}", right == seeds))  # fmt: skip
    return rows
