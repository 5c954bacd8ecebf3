from __future__ import annotations

import pytest
from hypothesis import given

from lib.summarize.names import acronyms_of, find_names, fold, forms_of, name_tokens
from tests.summarize.strategies import anything

NONE: frozenset[str] = frozenset()


def names(sentence: str, capitals: frozenset[str] = NONE) -> list[str]:
    return [sentence[name.start : name.end] for name in find_names(sentence, capitals)]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("The chief, Tim Cook, spoke.", ["Tim Cook"]),
        ("Yesterday Tim Cook spoke.", ["Tim Cook"]),
        ("Sales rose again.", []),
        ("NATO met in Brussels.", ["NATO", "Brussels"]),
        ("It was Acme's plant.", ["Acme"]),
        ("It was Acme’s Ohio plant.", ["Acme", "Ohio"]),
        ("It was the Bank of England.", ["Bank of England"]),
        ("It was J. P. Morgan or J.P. Morgan.", ["J. P. Morgan", "J.P. Morgan"]),
        ("It was Mr. Smith and Dr Jones.", ["Smith", "Jones"]),
        ("It was President Obama of the U.S. then.", ["Obama", "U.S."]),
        ("He met Jean-Luc O'Brien at AT&T.", ["Jean-Luc O'Brien", "AT&T"]),
        ("When I came I saw.", []),
        ("It was Ludwig van Beethoven.", ["Ludwig van Beethoven"]),
        ("He left Bank of.", ["Bank"]),
        ("公司的收入增长了。", []),
        ("हिन्दी में लिखा है।", []),
        ("", []),
    ],
)
def test_names_are_runs_of_capitals(sentence: str, found: list[str]) -> None:
    assert names(sentence) == found


def test_the_first_word_counts_when_it_was_seen_with_a_capital() -> None:
    assert names("Smith left.") == []
    assert names("Smith left.", frozenset({"smith"})) == ["Smith"]


def test_keys_know_neither_case_nor_accents() -> None:
    assert [token.key for token in name_tokens("Zoë's U.S. MÜLLER and the Bank of England")] == [
        "zoe",
        "us",
        "muller",
        "and",
        "the",
        "bank",
        "england",
    ]
    assert fold("Ångström") == "angstrom"


def test_acronyms_are_the_initials_of_a_run() -> None:
    found = set(acronyms_of(name_tokens("The World Health Organization met the Bank of England.")))
    assert {"who", "be"} <= found
    assert "t" not in found


def test_a_demonym_is_a_form_of_its_country() -> None:
    for one, other in (
        ("russian", "russia"),
        ("germany", "germans"),
        ("america", "americans"),
        ("japanese", "japan"),
        ("israeli", "israel"),
        ("italy", "italian"),
    ):
        assert forms_of(one) & forms_of(other)
    assert not forms_of("smith") & forms_of("smythe")


@given(anything)
def test_spans_are_in_order_and_within(sentence: str) -> None:
    end = 0
    for name in find_names(sentence, NONE):
        assert end <= name.start < name.end <= len(sentence)
        assert all(name.keys)
        end = name.end
