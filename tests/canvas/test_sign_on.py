from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lib.canvas.model import CanvasError
from lib.canvas.sign_on import ACS_URL, Wanted, assist, check_metadata, check_trust
from lib.canvas.templates import sign_on_template
from tests.canvas.linting import linted

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PROVIDER = "arn:aws:iam::123456789012:saml-provider/AWS_SSO_Canvas"
WANTED = Wanted("eu-west-1", "d-abc123", PROVIDER)
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


@cache
def certificate(begin: int = -10, end: int = 365) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + timedelta(days=begin))
        .not_valid_after(NOW + timedelta(days=end))
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def metadata(**change: str) -> bytes:
    parts = {
        "entity": 'entityID="https://idp.example.com"', "descriptor": "IDPSSODescriptor",
        "location": "https://idp.example.com/sso", "binding": POST, "certificate": certificate(),
        "before": "", **change,
    }  # fmt: skip
    return f"""<?xml version="1.0"?>{parts["before"]}
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" {parts["entity"]}>
<md:{parts["descriptor"]} protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
<ds:X509Data><ds:X509Certificate>{parts["certificate"]}</ds:X509Certificate></ds:X509Data>
</ds:KeyInfo></md:KeyDescriptor>
<md:SingleSignOnService Binding="{parts["binding"]}" Location="{parts["location"]}"/>
</md:{parts["descriptor"]}></md:EntityDescriptor>""".encode()


def test_what_to_enter_is_that_of_the_post() -> None:
    found = assist(WANTED)
    assert found.relay_state == (
        "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1"
        "#/studio/canvas/open/d-abc123"
    )
    assert (found.acs_url, found.audience) == (ACS_URL, "urn:amazon:webservices")
    attributes = dict(found.attributes)
    role = "arn:aws:iam::123456789012:role/AWS_SSO_Canvas_Role"
    assert attributes["https://aws.amazon.com/SAML/Attributes/Role"] == f"{PROVIDER},{role}"
    tag = "https://aws.amazon.com/SAML/Attributes/PrincipalTag:SageMakerStudioUserProfileName"
    assert attributes[tag] == "${user:subject}"
    [statement] = found.permissions["Statement"]
    assert statement["Resource"] == (
        "arn:aws:sagemaker:eu-west-1:123456789012:user-profile/d-abc123/*"
    )
    assert check_trust(json.dumps(found.trust), PROVIDER) == ()


def test_the_template_of_the_role_is_clean() -> None:
    found = assist(WANTED)
    assert linted(sign_on_template(found.permissions, found.trust)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"region": "moon"}, "region looks like"),
        ({"domain": "abc"}, "domain's id looks like"),
        ({"provider": "arn:aws:iam::1:saml-provider/x"}, "ARN of a SAML provider"),
    ],
)
def test_impossible_entries_are_named(change: dict[str, str], said: str) -> None:
    given = {"region": "us-east-1", "domain": "d-abc", "provider": PROVIDER, **change}
    with pytest.raises(CanvasError, match=said):
        Wanted(**given)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Action": "sts:AssumeRoleWithSAML"}, "sts:TagSession is not allowed"),
        ({"Principal": {"Federated": "arn:aws:iam::1:saml-provider/x"}}, "No statement trusts"),
        ({"Principal": "*"}, "trusts everybody"),
        ({"Principal": {"AWS": "*"}}, "trusts everybody"),
        ({"Condition": {}}, "SAML:aud is not"),
        (
            {"Condition": {"StringEquals": {"SAML:aud": ACS_URL}}},
            "SAML:sub_type is not persistent",
        ),
        ({"Effect": "Deny"}, "allows nothing"),
    ],
)
def test_what_is_wrong_with_a_trust_policy_is_said(change: dict[str, object], said: str) -> None:
    policy = assist(WANTED).trust
    broken = {**policy, "Statement": [{**policy["Statement"][0], **change}]}
    assert any(said in one for one in check_trust(json.dumps(broken), PROVIDER))


def test_policies_of_other_forms_are_read() -> None:
    policy = assist(WANTED).trust
    single = {**policy, "Statement": {**policy["Statement"][0], "Action": "sts:*"}}
    assert check_trust(json.dumps(single), PROVIDER) == ()
    assert "no JSON" in check_trust("{", PROVIDER)[0]
    assert "allows nothing" in check_trust("[]", PROVIDER)[0]


def test_metadata_in_order_have_nothing_wrong() -> None:
    assert check_metadata(metadata(), NOW) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"entity": ""}, "no entityID"),
        ({"entity": 'entityID="x" validUntil="2020-01-01T00:00:00Z"'}, "valid until 2020-01-01"),
        ({"entity": 'entityID="x" validUntil="soon"'}, "validUntil is no time"),
        ({"descriptor": "SPSSODescriptor"}, "describes a service provider"),
        ({"location": "http://idp.example.com"}, "not at https"),
        ({"binding": "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"}, "takes HTTP-POST"),
        ({"certificate": "AAAA"}, "cannot be read"),
        ({"certificate": certificate(-100, -1)}, "ended on 2026-11-19"),
        ({"certificate": certificate(-100, 10)}, "within a month"),
        ({"certificate": certificate(5, 400)}, "begins on 2026-11-25 only"),
    ],
)
def test_what_is_wrong_with_metadata_is_said(change: dict[str, str], said: str) -> None:
    found = check_metadata(metadata(**change), NOW)
    assert any(said in one for one in found)


def test_hostile_or_other_files_are_not_read() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    for before in (bomb, outside):
        with pytest.raises(CanvasError, match="document type or entities"):
            check_metadata(metadata(before=before), NOW)
    with pytest.raises(CanvasError, match="no XML"):
        check_metadata(b"hello", NOW)
    with pytest.raises(CanvasError, match="are read at most"):
        check_metadata(b" " * 1_000_001, NOW)
    assert "root is not" in check_metadata(b"<a/>", NOW)[0]
