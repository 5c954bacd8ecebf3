"""SageMaker's hosting in the double: models, configurations and endpoints that take their time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.aws.double import AwsDouble, Params, WireError

CREATED = datetime(2026, 1, 2, tzinfo=UTC)
ARNS = {"Model": "model", "EndpointConfig": "endpoint-config", "Endpoint": "endpoint"}
LABELS = {"Model": "model", "EndpointConfig": "endpoint configuration", "Endpoint": "endpoint"}


@dataclass
class SmallHosting:
    """Answers what a deployment calls. Each description of an endpoint takes its next status."""

    statuses: tuple[str, ...] = ("Creating", "Creating", "InService")
    failure: str = ""
    made: dict[str, dict[str, Params]] = field(default_factory=lambda: {kind: {} for kind in ARNS})
    _coming: dict[str, Iterator[str]] = field(default_factory=dict)
    _now: dict[str, str] = field(default_factory=dict)

    def on(self, double: AwsDouble) -> None:
        """Let a double answer by this hosting."""
        for kind in ARNS:
            for verb, answer in (
                ("Create", self._create),
                ("Describe", self._describe),
                ("Delete", self._delete),
            ):
                double.on("sagemaker", verb + kind, bind(answer, kind))
        double.on("sagemaker", "ListTags", self._tags)
        double.on("sagemaker-runtime", "InvokeEndpoint", self._invoke)

    def names(self) -> dict[str, list[str]]:
        """Return what there is, by kind."""
        return {kind: sorted(made) for kind, made in self.made.items() if made}

    def _create(self, kind: str, params: Params) -> dict[str, Any]:
        name = params[f"{kind}Name"]
        if name in self.made[kind]:
            raise invalid(f'Cannot create already existing {LABELS[kind]} "{arn(kind, name)}".')
        self.made[kind][name] = params
        if kind == "Endpoint":
            self._coming[name] = iter(self.statuses)
            self._now[name] = "Creating"
        return {f"{kind}Arn": arn(kind, name)}

    def _describe(self, kind: str, params: Params) -> dict[str, Any]:
        name = params[f"{kind}Name"]
        kept = dict(self._find(kind, name))
        kept.pop("Tags", None)
        answer = {**kept, f"{kind}Arn": arn(kind, name), "CreationTime": CREATED}
        if kind != "Endpoint":
            return answer
        status = self._now[name] = next(self._coming[name], self._now[name])
        reason = {"FailureReason": self.failure} if status == "Failed" else {}
        return answer | reason | {"EndpointStatus": status, "LastModifiedTime": CREATED}

    def _delete(self, kind: str, params: Params) -> dict[str, Any]:
        name = params[f"{kind}Name"]
        self._find(kind, name)
        if kind == "Endpoint" and self._now[name] == "Creating":
            self._now[name] = next(self._coming[name], "InService")
            raise invalid(f'Cannot update in-progress endpoint "{arn(kind, name)}".')
        del self.made[kind][name]
        return {}

    def _find(self, kind: str, name: str) -> Params:
        if name not in self.made[kind]:
            raise invalid(f'Could not find {LABELS[kind]} "{arn(kind, name)}".')
        return self.made[kind][name]

    def _tags(self, params: Params) -> dict[str, Any]:
        tags = {
            arn(kind, name): request.get("Tags", [])
            for kind, made in self.made.items()
            for name, request in made.items()
        }
        return {"Tags": tags[params["ResourceArn"]]}

    def _invoke(self, params: Params) -> dict[str, Any]:
        name = params["EndpointName"]
        if self._now.get(name) != "InService":
            raise WireError("ValidationError", f"Endpoint {name} of account 1 not found.")
        asked = json.loads(params["Body"])
        first = asked["inputs"].partition(". ")[0]
        return {"Body": json.dumps([{"summary_text": f"{first}."}]).encode()}


def bind(answer: Any, kind: str) -> Any:
    """Return a handler of the double for one kind of resource."""
    return lambda params: answer(kind, params)


def arn(kind: str, name: str) -> str:
    """Return the ARN that SageMaker gives to what has a name."""
    return f"arn:aws:sagemaker:us-east-1:111122223333:{ARNS[kind]}/{name}"


def invalid(message: str) -> WireError:
    """Return SageMaker's answer to what it cannot do."""
    return WireError("ValidationException", message)
