"""The default corpus: what the installed AWS SDK says about every service and operation.

Read from botocore's own data files, without importing it.
"""

from __future__ import annotations

import gzip
import html
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from lib.search.model import Document, Value
from lib.search.sources.model import Change, Changed, Progress, Removed, no_progress
from lib.search.sources.technology import Product, product

FORMAT = 1  # raised when the same models make different documents
LINK = "https://docs.aws.amazon.com/goto/WebAPI"  # botocore's own links go there

_SPACED_TAGS = re.compile(
    r"<!--.*?-->|</?(?:p|li|ul|ol|dl|dt|dd|note|important|caution|tip|title|br|pre|h[1-6]|para"
    r"|fullname|xhtml|zonbook|div|table|tr|td|th)\b[^<>]*>",
    re.DOTALL,
)
_INLINE_TAGS = re.compile(
    r"</?(?:code|a|i|b|em|strong|u|replaceable|link|filename|literal|span|sub|sup)\b[^<>]*>"
)
_SPACES = re.compile(r"[^\S\n]+")
_LINE_ENDS = re.compile(r" ?\n[\s]*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")
_VERB = re.compile(r"[A-Z][a-z]+(?![a-z])")

Model = Mapping[str, Any]


@dataclass(frozen=True)
class AwsModels:
    """The AWS SDK installed here as a source; an upgrade of it changes every document."""

    data: Path | None = None  # the folder of models; botocore's own where None
    name: str = "aws-models"

    def changes(
        self, known: Mapping[str, str], progress: Progress = no_progress
    ) -> Iterator[Change]:
        """Yield the documents that are not known from this version of the SDK."""
        fingerprint = f"botocore {version('botocore')} format {FORMAT}"
        present: set[str] = set()
        folders = service_folders(self.data or installed_data())
        for position, folder in enumerate(folders):
            progress(position / len(folders))
            for id_, build in ServiceDocuments(folder).entries():
                present.add(id_)
                if known.get(id_) != fingerprint:
                    yield Changed(build(), fingerprint)
        yield from (Removed(id_) for id_ in known if id_ not in present)


def installed_data() -> Path:
    """Return the folder of the installed botocore that holds its models."""
    found = importlib.util.find_spec("botocore")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("botocore is not installed.")
    return Path(found.origin).with_name("data")


def service_folders(data: Path) -> list[Path]:
    """Return the newest version's folder of every service, in the order of their names."""
    return [
        max(models).parent
        for service in sorted(data.iterdir())
        if (models := list(service.glob("*/service-2.json*")))
    ]


def plain(documentation: str) -> str:
    """Return documentation in HTML as plain text, its paragraphs as lines."""
    text = html.unescape(documentation)  # first, as some models escape their tags twice
    text = _INLINE_TAGS.sub("", _SPACED_TAGS.sub("\n", text))
    return _LINE_ENDS.sub("\n", _SPACES.sub(" ", text)).strip()


def spoken(name: str) -> str:
    """Return an identifier as words: "PutObject" as "Put object", "DBInstance" as "DB instance"."""
    words = [word if word.isupper() else word.lower() for word in _CAMEL.sub(" ", name).split()]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) if words else name


class ServiceDocuments:
    """The documents of one service."""

    def __init__(self, folder: Path) -> None:
        self.key = folder.parent.name
        self._folder = folder
        self._model: Model = _read(folder, "service-2")
        metadata = self._model["metadata"]
        self.product: Product = product(self.key, metadata["serviceFullName"])
        self._link = f"{LINK}/{metadata.get('uid') or folder.parent.name}"
        self._attributes: dict[str, Value] = {
            "service": self.product.name,
            "Technology": self.product.technology,
            "protocol": metadata["protocol"],
            "api_version_year": int(metadata["apiVersion"][:4]),
            "_created_at": datetime.fromisoformat(metadata["apiVersion"]).replace(tzinfo=UTC),
        }

    def entries(self) -> Iterator[tuple[str, Callable[[], Document]]]:
        """Yield the id of each document and what builds it."""
        yield f"{self.key}/guide", self._guide
        for name in self._model["operations"]:
            yield self._entry("operation", name, self._operation)
        for name, shape in self._shapes.items():
            if shape.get("exception"):
                yield self._entry("exception", name, self._exception)
            elif shape["type"] == "structure" and name not in self._only_of_operations:
                yield self._entry("structure", name, self._structure)
            elif shape.get("enum") and shape.get("documentation"):
                yield self._entry("enumeration", name, self._enumeration)
        for name in self._waiters:
            yield self._entry("waiter", name, self._waiter)
        for name in self._paginators:
            yield self._entry("paginator", name, self._paginator)

    def _entry(
        self, kind: str, name: str, build: Callable[[str, str], Document]
    ) -> tuple[str, Callable[[], Document]]:
        id_ = f"{self.key}/{kind}/{name}"
        return id_, partial(build, id_, name)

    # ------------------------------------------------------------------------- one kind each

    def _guide(self) -> Document:
        full_name = self._model["metadata"]["serviceFullName"]
        lines = [full_name, plain(self._model.get("documentation", ""))]
        id_ = f"{self.key}/guide"
        return self._document(id_, self.product.name, lines, Document_Type="Service_Guide")

    def _operation(self, id_: str, name: str) -> Document:
        operation = self._model["operations"][name]
        errors = tuple(dict.fromkeys(error["shape"] for error in operation.get("errors", ())))
        lines = [
            spoken(name),
            plain(operation.get("documentation", "")),
            *self._members("Request", operation.get("input")),
            *self._members("Response", operation.get("output")),
            f"Errors: {', '.join(errors)}" if errors else "",
        ]
        attributes = _action(name) | ({"errors": errors} if errors else {})
        title = f"{self.product.name}: {name}"
        return self._document(id_, title, lines, name, Document_Type="Operation", **attributes)

    def _structure(self, id_: str, name: str) -> Document:
        title, lines = f"{self.product.name}: {name}", self._described(name)
        return self._document(id_, title, lines, name, Document_Type="Structure")

    def _exception(self, id_: str, name: str) -> Document:
        title, lines = f"{self.product.name}: {name}", self._described(name)
        return self._document(id_, title, lines, name, Document_Type="Exception")

    def _enumeration(self, id_: str, name: str) -> Document:
        values = f"Values: {', '.join(self._shapes[name]['enum'])}"
        title, lines = f"{self.product.name}: {name}", [*self._described(name), values]
        return self._document(id_, title, lines, Document_Type="Enumeration")

    def _waiter(self, id_: str, name: str) -> Document:
        waiter = self._waiters[name]
        operation, delay, most = waiter["operation"], waiter["delay"], waiter["maxAttempts"]
        lines = [
            f"{spoken(name)}: waits until then.",
            f"Calls: {operation} every {delay} seconds, up to {most} times",
            *map(_condition, waiter["acceptors"]),
            self._about(operation),
        ]
        title, action = f"{self.product.name}: {name} waiter", _action(operation)
        return self._document(id_, title, lines, operation, Document_Type="Waiter", **action)

    def _paginator(self, id_: str, name: str) -> Document:
        paginator = self._paginators[name]
        lines = [
            f"{spoken(name)}, page by page.",
            f"Results: {_listed(paginator.get('result_key'))}",
            f"Token in: {_listed(paginator.get('input_token'))}",
            f"Token out: {_listed(paginator.get('output_token'))}",
            f"Page size: {_listed(paginator.get('limit_key'))}",
            self._about(name),
        ]
        title, action = f"{self.product.name}: {name} paginator", _action(name)
        return self._document(id_, title, lines, name, Document_Type="Paginator", **action)

    # ---------------------------------------------------------------------------- their parts

    def _document(
        self, id_: str, title: str, lines: list[str], page: str = "", **attributes: Value
    ) -> Document:
        return Document(
            id=id_,
            title=title,
            text="\n".join(line for line in lines if line),
            uri=f"{self._link}/{page}" if page else self._link,
            attributes=self._attributes | attributes,
        )

    def _described(self, name: str) -> list[str]:
        said = plain(self._documentation_of(name))
        return [spoken(name), said, *self._members("Members", {"shape": name})]

    def _members(self, heading: str, reference: Mapping[str, Any] | None) -> Iterator[str]:
        members = self._shapes[reference["shape"]].get("members", {}) if reference else {}
        if members:
            yield f"{heading}:"
        for name, member in members.items():
            said = plain(member.get("documentation") or self._documentation_of(member["shape"]))
            yield f"{name}: {said}" if said else name

    def _documentation_of(self, shape: str) -> str:
        return str(self._shapes[shape].get("documentation", ""))

    def _about(self, operation: str) -> str:
        """Return the first paragraph about an operation."""
        said = self._model["operations"].get(operation, {}).get("documentation", "")
        return plain(said).partition("\n")[0]

    @cached_property
    def _shapes(self) -> Mapping[str, Any]:
        shapes: Mapping[str, Any] = self._model["shapes"]
        return shapes

    @cached_property
    def _only_of_operations(self) -> set[str]:
        """Return the structures that are told with their operation, being no other's member."""
        operations = self._model["operations"].values()
        own = {op[part]["shape"] for op in operations for part in ("input", "output") if part in op}
        references = chain.from_iterable(map(_references, self._shapes.values()))
        return own - {reference["shape"] for reference in references}

    @cached_property
    def _waiters(self) -> Mapping[str, Any]:
        waiters: Mapping[str, Any] = _read(self._folder, "waiters-2").get("waiters", {})
        return waiters

    @cached_property
    def _paginators(self) -> Mapping[str, Any]:
        pagination: Mapping[str, Any] = _read(self._folder, "paginators-1").get("pagination", {})
        return pagination


def _read(folder: Path, name: str) -> Model:
    """Return a model of a version's folder, empty where there is none."""
    packed, open_ = folder / f"{name}.json.gz", folder / f"{name}.json"
    if packed.exists():
        content = gzip.decompress(packed.read_bytes())
    elif open_.exists():
        content = open_.read_bytes()
    else:
        return {}
    model: Model = json.loads(content)
    return model


def _references(shape: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from shape.get("members", {}).values()
    yield from (shape[part] for part in ("member", "key", "value") if part in shape)


def _action(operation: str) -> dict[str, Value]:
    verb = _VERB.match(operation)
    return {"action": verb[0]} if verb else {}


def _condition(acceptor: Mapping[str, Any]) -> str:
    """Return in words when a waiter succeeds, fails or tries again."""
    what = " ".join((acceptor.get("argument") or acceptor["matcher"]).split())
    return f"{acceptor['state'].capitalize()}: {what} is {acceptor['expected']}"


def _listed(names: str | list[str] | None) -> str:
    if not names:
        return "none"
    return names if isinstance(names, str) else ", ".join(names)
