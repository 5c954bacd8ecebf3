"""Single sign-on into Canvas: what to enter where, and what is wrong with what is there.

After "Enable business analysts to access Amazon SageMaker Canvas without using the AWS Management
Console with AWS SSO" (AWS Machine Learning Blog): a custom SAML 2.0 application whose relay state
opens Canvas, a SAML provider in IAM, and a role whose session carries the profile's name as a tag.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from lib.canvas.model import CanvasError

ACS_URL = "https://signin.aws.amazon.com/saml"
AUDIENCE = "urn:amazon:webservices"
TAG = "https://aws.amazon.com/SAML/Attributes/PrincipalTag:SageMakerStudioUserProfileName"
ACTIONS = ("sts:AssumeRoleWithSAML", "sts:SetSourceIdentity", "sts:TagSession")
PERMISSIONS = (
    "sagemaker:CreatePresignedDomainUrlWithPrincipalTag",
    "sagemaker:CreatePresignedDomainUrl",
)
MOST_BYTES = 1_000_000  # of a metadata file
SOON = timedelta(days=30)
MD, DS = "{urn:oasis:names:tc:SAML:2.0:metadata}", "{http://www.w3.org/2000/09/xmldsig#}"
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-\d")
_DOMAIN = re.compile(r"d-(-*[a-z0-9]){1,61}")
_PROVIDER = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):saml-provider/[\w+=,.@-]{1,128}")


@dataclass(frozen=True)
class Wanted:
    """Region, domain and SAML provider; raises `CanvasError` where one of them is none."""

    region: str
    domain: str
    provider: str
    role_name: str = "AWS_SSO_Canvas_Role"

    def __post_init__(self) -> None:
        if not _REGION.fullmatch(self.region):
            raise CanvasError("A region looks like us-east-1.")
        if not _DOMAIN.fullmatch(self.domain):
            raise CanvasError("A domain's id looks like d-abc123xyz.")
        if not _PROVIDER.fullmatch(self.provider):
            raise CanvasError(
                "The ARN of a SAML provider looks like "
                "arn:aws:iam::123456789012:saml-provider/AWS_SSO_Canvas."
            )

    @property
    def account(self) -> str:
        """Return the account of the provider."""
        return self.provider.split(":")[4]


@dataclass(frozen=True)
class Assistant:
    """All that is entered in IAM Identity Center, or another identity provider, and in IAM."""

    relay_state: str
    acs_url: str
    audience: str
    attributes: tuple[tuple[str, str], ...]
    permissions: dict[str, Any]
    trust: dict[str, Any]


def assist(wanted: Wanted) -> Assistant:
    """Return what to enter where."""
    partition = wanted.provider.split(":")[1]
    role = f"arn:{partition}:iam::{wanted.account}:role/{wanted.role_name}"
    resource = (
        f"arn:{partition}:sagemaker:{wanted.region}:{wanted.account}:user-profile/{wanted.domain}/*"
    )
    return Assistant(
        f"https://{wanted.region}.console.aws.amazon.com/sagemaker/home?region={wanted.region}"
        f"#/studio/canvas/open/{wanted.domain}",
        ACS_URL,
        AUDIENCE,
        (
            ("Subject", "${user:email}"),
            ("https://aws.amazon.com/SAML/Attributes/RoleSessionName", "${user:email}"),
            (TAG, "${user:subject}"),
            ("https://aws.amazon.com/SAML/Attributes/Role", f"{wanted.provider},{role}"),
        ),
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(PERMISSIONS), "Resource": resource}],
        },
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Federated": wanted.provider},
                    "Action": list(ACTIONS),
                    "Condition": {
                        "StringEquals": {"SAML:sub_type": "persistent", "SAML:aud": ACS_URL}
                    },
                }
            ],
        },
    )


def check_trust(text: str, provider: str) -> tuple[str, ...]:
    """Return a sentence for each thing that is wrong with a role's trust policy."""
    try:
        policy = json.loads(text)
    except ValueError as error:
        return (f"The policy is no JSON ({error}).",)
    found = policy.get("Statement", ()) if isinstance(policy, dict) else ()
    statements = [one for one in (found if isinstance(found, list) else [found])
                  if isinstance(one, dict) and one.get("Effect") == "Allow"]  # fmt: skip
    if not statements:
        return ("The policy allows nothing: it needs a Statement with Effect Allow.",)
    ours = [one for one in statements if provider in _listed(_principal(one).get("Federated"))]
    wrong = list(_open_to_all(statements))
    if not ours:
        return (*wrong, f"No statement trusts {provider} as Principal.Federated.")
    actions = {action for one in ours for action in _listed(one.get("Action"))}
    wrong += [f"{action} is not allowed." for action in ACTIONS if not _covers(actions, action)]
    equals = [one.get("Condition", {}).get("StringEquals", {}) for one in ours]
    if not any(ACS_URL in _listed(one.get("SAML:aud")) for one in equals):
        wrong.append(f"Condition StringEquals SAML:aud is not {ACS_URL}.")
    if not any("persistent" in _listed(one.get("SAML:sub_type")) for one in equals):
        wrong.append("Condition StringEquals SAML:sub_type is not persistent.")
    return tuple(wrong)


def check_metadata(content: bytes, now: datetime | None = None) -> tuple[str, ...]:
    """Return a sentence for each thing that is wrong with an identity provider's SAML metadata.

    The file is parsed without entities, references and document types. Raises `CanvasError` where
    it is no XML that may be read.
    """
    root = _parsed(content)
    now = now or datetime.now(UTC)
    if root.tag != f"{MD}EntityDescriptor":
        return ("The file is no metadata of one entity: its root is not md:EntityDescriptor.",)
    wrong = []
    if not root.get("entityID"):
        wrong.append("The entity has no entityID.")
    wrong += _expired(root, now)
    provider = root.find(f"{MD}IDPSSODescriptor")
    if provider is None:
        word = "a service provider" if root.find(f"{MD}SPSSODescriptor") is not None else "neither"
        return (*wrong, f"The file describes {word}; IAM needs that of the identity provider.")
    wrong += _services(provider)
    certificates = [one.text or "" for one in provider.iter(f"{DS}X509Certificate")]
    if not certificates:
        wrong.append("The file holds no certificate to sign with.")
    wrong += [sentence for one in certificates for sentence in _certificate(one, now)]
    return tuple(wrong)


def _parsed(content: bytes) -> Element:
    from defusedxml import DefusedXmlException  # type: ignore[import-untyped]  # it ships no types
    from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # same

    if len(content) > MOST_BYTES:
        raise CanvasError(f"The file has {len(content):,} bytes; {MOST_BYTES:,} are read at most.")
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise CanvasError("The file holds a document type or entities, and is not read.") from error
    except (ParseError, ValueError) as error:
        raise CanvasError(f"The file is no XML ({error}). Download the metadata again.") from error
    return root


def _expired(root: Element, now: datetime) -> Iterator[str]:
    until = root.get("validUntil")
    if until:
        try:
            moment = datetime.fromisoformat(until)
        except ValueError:
            yield f"validUntil is no time: {until[:40]}."
            return
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if moment < now:
            yield f"The metadata were valid until {moment:%Y-%m-%d}. Download them again."


def _services(provider: Element) -> Iterator[str]:
    services = provider.findall(f"{MD}SingleSignOnService")
    if not services:
        yield "The file names no SingleSignOnService."
    for one in services:
        if not (one.get("Location") or "").startswith("https://"):
            yield "A SingleSignOnService is not at https."
    if services and not any("HTTP-POST" in (one.get("Binding") or "") for one in services):
        yield "No SingleSignOnService takes HTTP-POST."


def _certificate(text: str, now: datetime) -> Iterator[str]:
    from cryptography import x509

    try:
        found = x509.load_der_x509_certificate(
            base64.b64decode("".join(text.split()), validate=True)
        )
    except (ValueError, binascii.Error):
        yield "A certificate cannot be read."
        return
    if found.not_valid_after_utc < now:
        yield f"A certificate ended on {found.not_valid_after_utc:%Y-%m-%d}: put in the new one."
    elif found.not_valid_after_utc < now + SOON:
        yield f"A certificate ends on {found.not_valid_after_utc:%Y-%m-%d}, within a month."
    elif found.not_valid_before_utc > now:
        yield f"A certificate begins on {found.not_valid_before_utc:%Y-%m-%d} only."


def _open_to_all(statements: list[dict[str, Any]]) -> Iterator[str]:
    for one in statements:
        principal = one.get("Principal")
        if principal == "*" or "*" in _listed(_principal(one).get("AWS")):
            yield "A statement trusts everybody (Principal *): take it out."


def _principal(statement: dict[str, Any]) -> dict[str, Any]:
    found = statement.get("Principal")
    return found if isinstance(found, dict) else {}


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _covers(actions: set[str], wanted: str) -> bool:
    return bool({wanted, "sts:*", "*"} & actions)
