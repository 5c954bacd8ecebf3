"""cfn-lint over a template."""

from __future__ import annotations

from typing import Any

REGIONS = ["us-east-1", "eu-central-1"]


def linted(template: str) -> list[Any]:
    """Return what cfn-lint finds in a template, errors, warnings and all."""
    from cfnlint import api  # type: ignore[import-untyped]  # it ships no types
    from cfnlint.config import ManualArgs  # type: ignore[import-untyped]  # same

    found: list[Any] = api.lint(template, config=ManualArgs(regions=REGIONS))
    return found
