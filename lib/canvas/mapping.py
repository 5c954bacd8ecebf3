"""Which user profile belongs to whom: by a rule, and checked in bulk against those that exist."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lib.canvas.model import CanvasError, is_profile_name
from lib.identity import User
from lib.settings import Settings

TABLE = "canvas_profiles.csv"
COLUMNS = ("user", "profile")


class Rule(StrEnum):
    """How a profile's name follows from who is signed in."""

    SAME_NAME = "same-name"
    EMAIL = "email"
    TABLE = "table"


@dataclass(frozen=True)
class Checked:
    """One user of a bulk check: the profile that belongs to them, and what is wrong with it."""

    user: str
    profile: str
    problem: str  # empty where all is well


def profile_of(user: User, rule: Rule, table: Mapping[str, str]) -> str:
    """Return the name of the profile that belongs to a user; raises `CanvasError` without one."""
    return _named(user.username, user.email, rule, table)


def check(
    users: Sequence[tuple[str, str]],
    rule: Rule,
    table: Mapping[str, str],
    existing: Mapping[str, str],
) -> tuple[Checked, ...]:
    """Return for each user, as (name, e-mail), the profile and what is wrong.

    `existing` are the profiles of the domain with their status.
    """
    found = []
    owners: dict[str, str] = {}
    for username, email in users:
        try:
            profile = _named(username, email, rule, table)
        except CanvasError as error:
            found.append(Checked(username, "", str(error)))
            continue
        problem = _problem(profile, existing)
        if profile in owners:
            problem = f"The same profile belongs to {owners[profile]}: two people would share it."
        owners.setdefault(profile, username)
        found.append(Checked(username, profile, problem))
    return tuple(found)


def read_table(settings: Settings) -> dict[str, str]:
    """Return the kept table of users and profiles; empty where none is kept."""
    path = table_path(settings)
    return parse_table(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_table(settings: Settings, text: str) -> int:
    """Keep a table and return its number of rows; raises `CanvasError` where a line is wrong."""
    found = parse_table(text)
    path = table_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    aside.write_text(text, encoding="utf-8")
    aside.rename(path)
    return len(found)


def parse_table(text: str) -> dict[str, str]:
    """Return profiles by user out of a CSV with these two columns; names fold to lower case.

    Raises `CanvasError` with the line where one is wrong.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        raise CanvasError("The table's first line is user,profile. Write it so.")
    found: dict[str, str] = {}
    for number, row in enumerate(reader, start=2):
        user, profile = (row["user"] or "").strip().lower(), (row["profile"] or "").strip()
        if not user or not is_profile_name(profile):
            raise CanvasError(
                f"Line {number} of the table has no user, or {profile!r} is no name of a profile: "
                "letters, digits and '-' between them, 63 at most."
            )
        if user in found:
            raise CanvasError(f"Line {number} of the table names {user} a second time.")
        found[user] = profile
    return found


def parse_users(text: str) -> tuple[tuple[str, str], ...]:
    """Return users as (name, e-mail) out of lines: a name, or a name and an e-mail address."""
    found = []
    for line in text.splitlines():
        parts = [one.strip() for one in re.split(r"[,;\t]", line) if one.strip()]
        if parts and parts[0].lower() != "user":
            email = next((one for one in parts if "@" in one), "")
            found.append((parts[0], email))
    return tuple(found)


def missing(found: Collection[Checked], existing: Mapping[str, str]) -> tuple[str, ...]:
    """Return the profiles that could be created: named, wanted by one user, and not there."""
    return tuple(
        one.profile for one in found
        if one.profile and one.profile not in existing and "share" not in one.problem
    )  # fmt: skip


def table_path(settings: Settings) -> Path:
    """Return where the table is kept."""
    return settings.data_dir / TABLE


def _named(username: str, email: str, rule: Rule, table: Mapping[str, str]) -> str:
    if rule is Rule.TABLE:
        profile = table.get(username.lower()) or table.get(email.lower(), "")
        if not profile:
            raise CanvasError(f"{username} is not in the table of profiles. Ask an administrator.")
        return profile
    source = username if rule is Rule.SAME_NAME else email.partition("@")[0]
    if not source:
        raise CanvasError(f"{username} has no e-mail address, by which the profile is named.")
    # What stands between letters and digits of a name is a hyphen in a profile's.
    profile = re.sub(r"[^a-zA-Z0-9]+", "-", source).strip("-")
    if not is_profile_name(profile):
        raise CanvasError(f"No profile can be named after {source!r}. Put {username} in the table.")
    return profile


def _problem(profile: str, existing: Mapping[str, str]) -> str:
    status = existing.get(profile)
    if status is None:
        return "There is no such profile in the domain."
    return "" if status == "InService" else f"The profile is {status}."
