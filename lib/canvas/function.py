"""The Lambda function that mints URLs: the post's, but behind IAM and for one domain alone.

Runs on AWS by itself, so it imports nothing of Sightline. The caller is signed (SigV4); it names a
user profile, the domain is the function's own. Nothing is logged but errors by their code.
"""

import json
import os
import re

PROFILE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
EXPIRES, SESSION = (5, 300), (1800, 43200)


def handler(event: dict, context: object, client: object = None) -> dict:  # type: ignore[type-arg]  # as Lambda has it
    """Return a presigned URL for a profile of the function's domain, as a response of HTTP."""
    del context
    try:
        body = json.loads(event.get("body") or "{}")
        profile = str(body["user_profile_name"])
        expires, session = int(body.get("expires", 60)), int(body.get("session", 28800))
    except (ValueError, KeyError, TypeError):
        return answer(400, error="The body is no request for a profile.")
    if not PROFILE.fullmatch(profile):
        return answer(400, error="This is no name of a user profile.")
    if not (EXPIRES[0] <= expires <= EXPIRES[1] and SESSION[0] <= session <= SESSION[1]):
        return answer(400, error="The times are outside what SageMaker takes.")
    request = {
        "DomainId": os.environ["DOMAIN_ID"],
        "UserProfileName": profile,
        "ExpiresInSeconds": expires,
        "SessionExpirationDurationInSeconds": session,
    }
    if body.get("landing") != "redirect":
        request["LandingUri"] = "app:Canvas:"
    if client is None:
        import boto3

        client = boto3.client("sagemaker")
    try:
        made = client.create_presigned_domain_url(**request)  # type: ignore[attr-defined]  # boto3's
    except Exception as error:  # noqa: BLE001 - botocore's kinds are made at run time
        code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
        print(json.dumps({"error": code}))  # noqa: T201 - what CloudWatch keeps
        return answer(502, error=str(code))
    return answer(200, url=made["AuthorizedUrl"])


def answer(status: int, **body: str) -> dict:  # type: ignore[type-arg]  # as Lambda has it
    """Return a response that nobody may keep."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(body),
    }
