"""SageMaker Studio domains and their user profiles, and the URLs that lead into them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from lib.aws import AccessDenied, Aws, AwsError, NotFound, aws_errors
from lib.canvas.model import (
    LANDING_URI,
    CanvasError,
    Landing,
    Launch,
    LaunchPlan,
    with_redirect,
)

SERVICE = "sagemaker"
IN_SERVICE = "InService"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Domain:
    """A Studio domain: how its users sign in (IAM or SSO), and whether it works."""

    id: str
    name: str
    status: str
    auth_mode: str
    arn: str


@dataclass(frozen=True)
class Profile:
    """A user profile of a domain."""

    name: str
    status: str
    modified: datetime | None


class Studio:
    """The service. Methods raise `AwsError`; what cannot launch raises `CanvasError`."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def domains(self) -> tuple[Domain, ...]:
        """Return the domains of the account and region."""
        with aws_errors(SERVICE, "ListDomains"):
            pages = self._client.get_paginator("list_domains").paginate()
            ids = [one["DomainId"] for page in pages for one in page["Domains"]]
        return tuple(self.domain(one) for one in ids)

    def domain(self, domain_id: str) -> Domain:
        """Return one domain."""
        with aws_errors(SERVICE, "DescribeDomain"):
            found = self._client.describe_domain(DomainId=domain_id)
        return Domain(
            domain_id, found.get("DomainName", ""), found.get("Status", ""),
            found.get("AuthMode", ""), found.get("DomainArn", ""),
        )  # fmt: skip

    def profiles(self, domain_id: str) -> tuple[Profile, ...]:
        """Return the user profiles of a domain."""
        with aws_errors(SERVICE, "ListUserProfiles"):
            pages = self._client.get_paginator("list_user_profiles").paginate(
                DomainIdEquals=domain_id
            )
            found = [one for page in pages for one in page["UserProfiles"]]
        return tuple(
            Profile(one["UserProfileName"], one.get("Status", ""), one.get("LastModifiedTime"))
            for one in found
        )

    def create_profile(self, domain_id: str, name: str) -> None:
        """Create a user profile with the settings of its domain."""
        with aws_errors(SERVICE, "CreateUserProfile"):
            self._client.create_user_profile(DomainId=domain_id, UserProfileName=name)

    def check(self, plan: LaunchPlan, profile: str) -> str:
        """Return the ARN of a profile; raise `CanvasError` where it cannot launch Canvas."""
        domain = self._known(lambda: self.domain(plan.domain), f"There is no domain {plan.domain}.")
        if domain.auth_mode == "SSO":
            raise CanvasError(
                f"The domain {plan.domain} signs in by IAM Identity Center, and AWS makes links "
                "for domains with IAM only. Use the assistant for single sign-on below."
            )
        if domain.status and domain.status != IN_SERVICE:
            raise CanvasError(f"The domain {plan.domain} is {domain.status}. Try again later.")
        found = self._known(
            lambda: self._profile(plan.domain, profile),
            f"There is no profile {profile} in the domain. Ask an administrator to create it.",
        )
        status = found.get("Status", IN_SERVICE)
        if status != IN_SERVICE:
            raise CanvasError(f"The profile {profile} is {status}. Try again later.")
        portal = found.get("UserSettings", {}).get("StudioWebPortalSettings", {})
        if "Canvas" in portal.get("HiddenAppTypes", ()):
            raise CanvasError(
                f"Canvas is hidden for the profile {profile}. Ask an administrator to show it."
            )
        return str(found["UserProfileArn"])

    def mint(self, plan: LaunchPlan, profile: str, resource: str) -> Launch:
        """Return a presigned URL for a profile, made as the role narrowed to it, where one is set.

        `resource` is the profile's ARN, as AWS itself writes it. Raises `CanvasError` with the
        policy statement to add where a permission is missing.
        """
        aws = self._aws
        if plan.role_arn:
            aws = aws.assumed(
                plan.role_arn, session_name="sightline-canvas", policy=policy_for(resource)
            )
        request = {
            "DomainId": plan.domain,
            "UserProfileName": profile,
            "ExpiresInSeconds": plan.expires,
            "SessionExpirationDurationInSeconds": plan.session,
        }
        if plan.landing is Landing.LANDING_URI:
            request["LandingUri"] = LANDING_URI
        begun = datetime.now(UTC)
        try:
            with aws_errors(SERVICE, "CreatePresignedDomainUrl"):
                answer = aws.client(SERVICE).create_presigned_domain_url(**request)
        except AccessDenied as error:
            raise denied(error, resource) from None
        url = str(answer["AuthorizedUrl"])
        return Launch(
            profile,
            begun + timedelta(seconds=plan.expires),
            with_redirect(url) if plan.landing is Landing.REDIRECT else url,
        )

    def _profile(self, domain_id: str, name: str) -> Mapping[str, Any]:
        with aws_errors(SERVICE, "DescribeUserProfile"):
            found: Mapping[str, Any] = self._client.describe_user_profile(
                DomainId=domain_id, UserProfileName=name
            )
        return found

    def _known(self, ask: Callable[[], Found], missing: str) -> Found:
        """Return what is asked for; raise `CanvasError` where AWS does not know it."""
        try:
            return ask()
        except NotFound as error:
            raise CanvasError(missing) from error
        except AwsError as error:
            if "does not exist" in error.message or "not found" in error.message.lower():
                raise CanvasError(missing) from error
            raise

    @property
    def _client(self) -> Any:
        return self._aws.client(SERVICE)


def policy_for(resource: str) -> dict[str, Any]:
    """Return the policy that allows minting for one profile and nothing else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sagemaker:CreatePresignedDomainUrl",
                "Resource": resource,
            }
        ],
    }


def denied(error: AccessDenied, resource: str) -> CanvasError:
    """Return what to add to a policy, as an error."""
    found = CanvasError(f"{error.sentence} The statement to add is shown below.")
    if error.permission == "sagemaker:CreatePresignedDomainUrl":
        found.statement = json.dumps(policy_for(resource)["Statement"][0], indent=2)
    else:
        found.statement = error.policy_statement
    return found
