"""Sentences of a text in any language, as spans of its characters."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from lib.summarize.model import SourceSentence
from lib.summarize.terms import UNSPACED, count_words

if TYPE_CHECKING:
    from nupunkt import PunktSentenceTokenizer

_WRAP_WIDTHS = range(50, 121)  # characters; mail wraps at 72-78, pages of PDFs at 60-110
_FULL = 0.9  # a line filled to this share of the width was broken by the margin
_LEAST_CONTINUED = 40  # characters; shorter lines without a stop are titles or chat
_LONGEST_WORD = 1_000  # characters; the splitter takes quadratic time on endless words

_MONTHS = (
    "Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"
    "|januar|februar|mars|marts|april|maj|mai|juni|juli|august|september|oktober|november|desember"
    "|december|Quartal|Jahrhundert|Halbjahr"
)
_CLOSERS = "\"'”’»)\\]}」』）】》〉*_"
_LEAD = re.compile(
    r"[\s>]*(?P<mark>(?:[-*+•‣⁃◦▪●○■□·–—]|\(?\d{1,3}[.)]"
    rf"(?!\s+(?:{_MONTHS})\b)|#{{1,6}})\s+)?"
)
_SPEAKER = re.compile(r"(#?\w[\w.'’-]*(?: [\w.'’-]+){0,4}#?)(?: ?\([^()\n]{1,30}\))?\s?[:：]\s")
_STOPPED = re.compile(rf"[.!?…:;。！？؟۔।॥][{_CLOSERS}]*\s*$")
_BREAKS = re.compile(r"(?<!\s)\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029][\s>]*")
_UNSPACED = re.compile(rf"[{UNSPACED}、。，]")
_HAS_WORD = re.compile(r"[^\W_]")
_CANDIDATE = re.compile(rf"[.!?…][{_CLOSERS}]*\s")
# Stops that the splitter does not know; it ends at each match. A Japanese quotation goes on after
# its closing bracket when hiragana or a comma follows: 「本当？」と彼は言った。
_STOP = re.compile(
    rf"(?<![。！？｡])[。！？｡]+(?:[{_CLOSERS}]+(?![{_CLOSERS}\u3041-\u3096、，,])|(?![。！？｡{_CLOSERS}]))"
    rf"|(?<![؟۔।॥።။។])[؟۔।॥።။។]+[{_CLOSERS}]*(?=\s)"
    rf"|[.!?…][{_CLOSERS}]*\s+(?=[«„¿¡]|[CJLNQS]['’]\w)"
    "|[.!?…]\\s*[\u2600-\u27bf\ufe0f\u200d\U0001f300-\U0001faff]+(?=\\s)"
)
_ORDINAL_END = re.compile(r"\b\d{1,2}\.$")
_ORDINAL_NEXT = re.compile(rf"(?:{_MONTHS})\b")
_QUESTION_QUOTED = re.compile(r"[!?…]\s?[»“”]$")
# Abbreviations of European business prose that the English model of the splitter lacks.
_NEVER_LAST = re.compile(
    r"(?<![\w.])(?:z\. ?B|d\. ?h|u\. ?a|o\. ?ä|bzw|bspw|ca|Nr|evtl|ggf|inkl|zzgl|sog|vgl|Mio|Mrd"
    r"|Tsd|Hr|Fr|Sr|Sra|Srta|Dra|Ud|Uds|EE\. ?UU|p\. ?ej|núm|pág|Mme|Mlle|p\. ?ex|Sig|Dott|dhr"
    r"|mevr|bijv)\.$"
)
_READS_LIKE_A_WORD = re.compile(r"(?=.*[aeiouy])[a-z]{2,}")
_ABBREVIATIONS = frozenset(
    """
    abbr acad adj adm admin adv al alt approx apr apt assn assoc asst asso aug auth av ave avg
    bancorp biol calif cal capt cent cert cf chap chem cir civ co col coll colo comdr comm comp
    conf cong conn const corp coun dec deg dem dep dept det dev diag diff dir disc dist distr
    div doc ed eds educ elec eng enr eq equip esp esq est et etc ex exec exp ext feb fed fig
    figs fla fri gal gen gov govt hon hosp hwy ibid id inc incl ind indus inst int intl jan jul
    jun jour lat lieut lib lit lon maj mar max mech med mem mex mich mil min minn misc mon mun
    nat natl neb nev nos nov oct okla ont op ord oreg orig para penn pers phil pos pp pref prem
    pres prob proc prod prof prop prov pub publ que ref reg rel rep repr res ret rev rom sat sci
    sec sect sen sens sep sept seq ser sev soc spec sta ste subj sun sup supp supt tel temp tenn
    ter tex theol theor treas tues tue univ util va viz vol vols wash wed wis
    """.split()  # noqa: SIM905 words read best as text
)
_SELDOM_LAST = re.compile(r"(?<![\w.])(?:usw|u\. ?s\. ?w|etc|ecc|enz|resp|M|av|env|n)\.$")


@dataclass(frozen=True)
class _Line:
    """One line of the text without its margins and list mark."""

    start: int
    end: int
    opens: bool  # starts a list item, a heading or a speaker's turn


def split(text: str) -> tuple[SourceSentence, ...]:
    """Return the sentences in order: spans without white space around them, never overlapping.

    Blank lines, list items, headings and turns of speakers start sentences; lines broken by a
    margin are read on. List marks belong to no sentence, nor do lines without letter or digit.
    """
    return tuple(
        SourceSentence(start, end, count_words(text[start:end]))
        for first, last in _passages(text)
        for start, end in _spans(text, first, last)
    )


def sentence_text(text: str, sentence: SourceSentence) -> str:
    """Return the sentence as one line: verbatim, but a line break in it becomes one space."""
    return _BREAKS.sub(_joint, text[sentence.start : sentence.end])


def is_finished(sentence: str) -> bool:
    """Tell whether a sentence ends with a stop, closing quotes and brackets behind it allowed."""
    return _STOPPED.search(sentence[-20:]) is not None


def _joint(gap: re.Match[str]) -> str:
    before, after = gap.string[: gap.start()][-1:], gap.string[gap.end() :][:1]
    return "" if _UNSPACED.match(before) and _UNSPACED.match(after) else " "


def _passages(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans that no sentence crosses."""
    for filled, paragraph in groupby(_lines(text), key=lambda line: line.start < line.end):
        if filled:
            for lines in _parts(list(paragraph)):
                yield from _unwrapped(text, lines)


def _lines(text: str) -> Iterator[_Line]:
    speakers = _speakers(text)
    at = 0
    for raw in text.splitlines(keepends=True):
        lead = _LEAD.match(raw)
        assert lead is not None  # noqa: S101  # the pattern matches the empty string
        start, end = at + lead.end(), at + len(raw.rstrip())
        named = _SPEAKER.match(raw, lead.end())
        turn = named is not None and named[1] in speakers
        yield _Line(start, max(start, end), opens=turn or bool(lead["mark"]))
        at += len(raw)


def _speakers(text: str) -> set[str]:
    """Return the names before a colon that start two lines or more."""
    names = (match[1] for line in text.splitlines() if (match := _SPEAKER.match(line)))
    return {name for name, lines in Counter(names).items() if lines > 1}


def _parts(paragraph: list[_Line]) -> Iterator[list[_Line]]:
    """Yield the lines of each list item, heading, turn or plain run of a paragraph."""
    part: list[_Line] = []
    for line in paragraph:
        if line.opens and part:
            yield part
            part = []
        part.append(line)
    yield part


def _unwrapped(text: str, lines: list[_Line]) -> Iterator[tuple[int, int]]:
    """Yield runs of lines that a margin broke, as one span each."""
    width = _wrap_width(text, lines)
    first = lines[0]
    for line, following in pairwise(lines):
        if not (_is_full(text, line, following, width) or _goes_on(text, line, following)):
            yield first.start, line.end
            first = following
    yield first.start, lines[-1].end


def _wrap_width(text: str, lines: list[_Line]) -> int:
    """Return the width the lines were wrapped at, in characters; 0 when they were not."""
    lengths = sorted(line.end - line.start for line in lines)
    width = lengths[math.ceil(0.9 * len(lengths)) - 1]
    if len(lines) == 1 or width not in _WRAP_WIDTHS:
        return 0
    pairs = list(pairwise(lines))
    full = sum(_is_full(text, line, following, width) for line, following in pairs)
    in_mid_sentence = sum(not _is_stopped(text, line) for line, _ in pairs)
    return width if 2 * min(full, in_mid_sentence) >= len(pairs) else 0


def _is_full(text: str, line: _Line, following: _Line, width: int) -> bool:
    """Tell whether the first word of the next line did not fit on this one."""
    words = text[following.start : min(following.end, following.start + width)].split(maxsplit=1)
    return width > 0 and line.end - line.start + 1 + len(words[0]) >= _FULL * width


def _goes_on(text: str, line: _Line, following: _Line) -> bool:
    long = line.end - line.start >= _LEAST_CONTINUED
    return long and text[following.start].islower() and not _is_stopped(text, line)


def _is_stopped(text: str, line: _Line) -> bool:
    return _STOPPED.search(text[max(line.start, line.end - 20) : line.end]) is not None


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences of one passage."""
    passage = _BREAKS.sub(lambda gap: " " * len(gap[0]), text[start:end])
    if _HAS_WORD.search(passage):
        for first, last in _joined(passage, list(_pieces(passage))):
            yield start + first, start + last


def _pieces(passage: str) -> Iterator[tuple[int, int]]:
    """Yield the spans between stops of every script, some of them without a word."""
    at = 0
    for stop in [*(match.end() for match in _STOP.finditer(passage)), len(passage)]:
        part = passage[at:stop]
        if _CANDIDATE.search(part) and max(map(len, part.split())) <= _LONGEST_WORD:
            yield from ((at + first, at + last) for first, last in _stripped(part, _punkt(part)))
        else:
            yield from (
                (at + first, at + last) for first, last in _stripped(part, [(0, len(part))])
            )
        at = stop


def _stripped(part: str, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first, last in spans:
        piece = part[first:last]
        if kept := piece.strip():
            begin = first + piece.index(kept[0])
            yield begin, begin + len(kept)


def _joined(passage: str, pieces: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the pieces, those joined that only together are a sentence."""
    first, last = pieces[0]
    for start, end in pieces[1:]:
        before, after = passage[max(first, last - 80) : last], passage[start : min(end, start + 80)]
        if not _HAS_WORD.search(passage, first, last) or _belongs(before, after):
            last = end
        else:
            yield first, last
            first, last = start, end
    yield first, last


def _belongs(before: str, after: str) -> bool:
    if not _HAS_WORD.search(after):
        return True
    if _NEVER_LAST.search(before):
        return True
    if _ORDINAL_END.search(before) and _ORDINAL_NEXT.match(after):
        return True
    goes_on = _SELDOM_LAST.search(before) or _QUESTION_QUOTED.search(before)
    return goes_on is not None and after[0].islower()


def _punkt(part: str) -> list[tuple[int, int]]:
    return list(_splitter().span_tokenize(part))


@cache
def _splitter() -> PunktSentenceTokenizer:
    from nupunkt import load_default_model

    splitter = load_default_model()
    # Its list was learned from legal texts and holds words ("rest", "week", "day", "joke").
    for abbreviation in sorted(splitter.abbreviations):
        if _READS_LIKE_A_WORD.fullmatch(abbreviation) and abbreviation not in _ABBREVIATIONS:
            splitter.remove_abbreviation(abbreviation)
    return splitter
