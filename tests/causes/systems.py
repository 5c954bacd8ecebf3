"""A file of a system of two parts, one of which calls the other and suffers from it."""

from __future__ import annotations

import numpy as np


def two_services(late: int) -> str:
    """Return a CSV of 300 hours: calls and milliseconds of site, which calls pay.

    pay is slower by itself in the last `late` hours.
    """
    random = np.random.default_rng(1)
    hours = np.datetime64("2026-01-01") + np.arange(300) * np.timedelta64(1, "h")
    pay = 100 * np.exp(0.05 * random.normal(size=300))
    pay[-late:] += 80
    cost = {"pay": pay, "site": pay + 50 * np.exp(0.05 * random.normal(size=300))}
    lines = [
        f"{at},{name},{random.poisson(200)},{amount:.3f}"
        for name, amounts in cost.items()
        for at, amount in zip(np.datetime_as_string(hours, unit="m"), amounts, strict=True)
    ]
    return "time,service,calls,milliseconds\n" + "\n".join(lines) + "\n"
