"""What every engine refuses in the same words."""

from __future__ import annotations

from lib.search.model import QueryError


def no_order(attribute: str) -> QueryError:
    """Return the refusal to sort by a list of strings."""
    return QueryError(
        f"“{attribute}” holds several values a document, so it gives no order. "
        "Sort by another attribute."
    )


def no_list(attribute: str) -> QueryError:
    """Return the refusal to ask for all of several values where a document has one."""
    return QueryError(
        f"“All of” needs a list of strings, and “{attribute}” has one value a document. "
        "Use “any of”."
    )
