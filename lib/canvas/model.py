"""What a launch of Canvas is: whose, for how long, and how it lands. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode, urlsplit, urlunsplit

from lib.settings import Settings

EXPIRES_S = (5, 300)  # that AWS takes
SESSION_S = (1_800, 43_200)
LANDING_URI = "app:Canvas:"
_DOMAIN = re.compile(r"d-(-*[a-z0-9]){1,61}")
_PROFILE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")


class CanvasError(ValueError):
    """A launch that cannot be; the message says why and what to do, and holds no secret."""

    statement = ""  # an IAM policy statement that would help, as JSON


class Landing(StrEnum):
    """How a presigned URL leads into Canvas: by its own parameter, or as the AWS post has it."""

    LANDING_URI = "landing-uri"
    REDIRECT = "redirect"


@dataclass(frozen=True)
class LaunchPlan:
    """What the operator has set; raises `CanvasError` where AWS would refuse it.

    `role_arn` is assumed, narrowed to the one profile; `function_url` mints instead of this server.
    """

    domain: str
    expires: int = 60
    session: int = 28_800
    landing: Landing = Landing.LANDING_URI
    role_arn: str = ""
    function_url: str = ""
    launches_a_minute: int = 3

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.domain):
            raise CanvasError("SIGHTLINE_CANVAS_DOMAIN looks like d-abc123xyz: correct it.")
        if not EXPIRES_S[0] <= self.expires <= EXPIRES_S[1]:
            raise CanvasError("SIGHTLINE_CANVAS_EXPIRES is 5 to 300 seconds: correct it.")
        if not SESSION_S[0] <= self.session <= SESSION_S[1]:
            raise CanvasError("SIGHTLINE_CANVAS_SESSION is 1,800 to 43,200 seconds: correct it.")
        if self.role_arn and not _ROLE.fullmatch(self.role_arn):
            raise CanvasError("SIGHTLINE_CANVAS_ROLE_ARN is no ARN of a role: correct it.")


@dataclass(frozen=True)
class Launch:
    """A presigned URL, good for one use until it expires; it shows in no representation."""

    profile: str
    expires_at: datetime
    url: str = field(repr=False)


def plan_of(settings: Settings) -> LaunchPlan | None:
    """Return the plan that the settings hold; None where no domain is set."""
    if not settings.canvas_domain:
        return None
    try:
        landing = Landing(settings.canvas_landing)
    except ValueError as error:
        raise CanvasError(
            "SIGHTLINE_CANVAS_LANDING is landing-uri or redirect: correct it."
        ) from error
    return LaunchPlan(
        settings.canvas_domain,
        settings.canvas_expires,
        settings.canvas_session,
        landing,
        settings.canvas_role_arn,
        settings.canvas_function_url,
        settings.canvas_launches_a_minute,
    )


def is_profile_name(name: str) -> bool:
    """Tell whether SageMaker takes it as the name of a user profile."""
    return _PROFILE.fullmatch(name) is not None


def with_redirect(url: str) -> str:
    """Return the URL with `redirect=Canvas` among its parameters, as the AWS post adds it."""
    parts = urlsplit(url)
    query = "&".join(one for one in (parts.query, urlencode({"redirect": "Canvas"})) if one)
    return urlunsplit(parts._replace(query=query))
