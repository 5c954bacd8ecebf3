"""A launch of Canvas from the click to the URL: whose profile, how often, by which way, in the log.

The browser names nothing: domain and profile follow from the settings and from who is signed in.
The log gets who, when, which profile and how it ended, never the URL.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from lib.aws import Aws, AwsError, checked_url
from lib.canvas.mapping import Rule, profile_of, read_table
from lib.canvas.model import CanvasError, Landing, Launch, LaunchPlan, plan_of, with_redirect
from lib.canvas.studio import Studio
from lib.identity import Identity, Role, User, require
from lib.settings import Settings

LAUNCHED, REFUSED = "launched Canvas", "could not launch Canvas"
LOOKED_AT = 50  # entries of the log
URL_HOST = ".sagemaker.aws"  # that presigned URLs lead to
MOST_BYTES = 20_000  # of the function's answer


def launch(settings: Settings, aws: Aws, identity: Identity, user: User) -> Launch:
    """Return the URL for who clicks; raises `CanvasError` and `AwsError`, and logs how it ended."""
    require(user, Role.ANALYST)
    plan = plan_of(settings)
    if plan is None:
        raise CanvasError("No domain is set: SIGHTLINE_CANVAS_DOMAIN names it, such as d-abc123.")
    profile = profile_of(user, rule_of(settings), read_table(settings))
    _check_rate(identity, user, plan)
    try:
        made = _mint(aws, plan, profile)
    except (AwsError, CanvasError) as error:
        identity.record(user.username, REFUSED, profile, type(error).__name__)
        raise
    identity.record(user.username, LAUNCHED, profile, plan.domain)
    return made


def rule_of(settings: Settings) -> Rule:
    """Return the rule that the settings ask for; raises `CanvasError`."""
    try:
        return Rule(settings.canvas_profile_rule)
    except ValueError as error:
        raise CanvasError(
            f"SIGHTLINE_CANVAS_PROFILE_RULE is one of {', '.join(Rule)}: correct it."
        ) from error


def _check_rate(identity: Identity, user: User, plan: LaunchPlan) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    recent = [
        one
        for action in (LAUNCHED, REFUSED)
        for one in identity.audit_log(LOOKED_AT, who=user.username, action=action)
        if one.at > since
    ]
    if len(recent) >= plan.launches_a_minute:
        raise CanvasError(
            f"Canvas was launched {len(recent)} times within a minute, and more are not allowed. "
            "Wait a minute, or use the tab that is open."
        )


def _mint(aws: Aws, plan: LaunchPlan, profile: str) -> Launch:
    if plan.function_url:
        return _mint_by_function(aws, plan, profile)
    studio = Studio(aws)
    return studio.mint(plan, profile, studio.check(plan, profile))


def _mint_by_function(aws: Aws, plan: LaunchPlan, profile: str) -> Launch:
    """Return the URL that the Lambda function makes; the call is signed, the answer is checked."""
    url = checked_url(plan.function_url, "SIGHTLINE_CANVAS_FUNCTION_URL") or ""
    body = json.dumps(
        {
            "user_profile_name": profile,
            "expires": plan.expires,
            "session": plan.session,
            "landing": str(plan.landing),
        }
    ).encode()
    begun = datetime.now(UTC)
    status, content = aws.signed_post(url, body, service="lambda")
    if status in {401, 403}:
        raise CanvasError(
            "The function refuses this server: allow its role lambda:InvokeFunctionUrl on it, and "
            "name that role in the template."
        )
    try:
        answer = json.loads(content[:MOST_BYTES])
    except ValueError as error:
        raise CanvasError("The function answered no JSON. Deploy the template again.") from error
    if status != 200 or not isinstance(answer, dict) or "url" not in answer:  # noqa: PLR2004 - HTTP's OK
        reason = str(answer.get("error", "")) if isinstance(answer, dict) else ""
        raise CanvasError(f"The function could not make a URL: {reason or f'status {status}'}.")
    made = str(answer["url"])
    parts = urlsplit(made)
    if parts.scheme != "https" or not (parts.hostname or "").endswith(URL_HOST):
        raise CanvasError("The function answered a URL that does not lead to SageMaker.")
    if plan.landing is Landing.REDIRECT:
        made = with_redirect(made)
    return Launch(profile, begun + timedelta(seconds=plan.expires), made)
