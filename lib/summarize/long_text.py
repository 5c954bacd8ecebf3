"""Abstractive summaries of texts of any length, of the length asked for, with any model.

A text beyond the model's window is not cut: either its best sentences are chosen first, as many as
the window holds (extract, then abstract), or it is read whole in parts that end with a sentence,
whose summaries are summarized again (map-reduce). The summary says what was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as TypingGenerator
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from math import ceil
from time import perf_counter

from lib.summarize.extractive import check_text, content_of, ranked_sentences, why_whole
from lib.summarize.model import (
    MOST_NEW_TOKENS,
    CannotStreamError,
    Draft,
    Generation,
    GenerationError,
    Generator,
    Length,
    LengthUnit,
    SourceSentence,
    StoppedError,
    Summary,
    SummaryRequest,
    TextError,
    Timings,
)
from lib.summarize.sentences import is_finished, sentence_text, split
from lib.summarize.support import supported_summary
from lib.summarize.terms import count_words

MOST_ATTEMPTS = 3  # at a length: the model decides when it ends, and is asked again for more
LONG_SENTENCE, SHORT_SENTENCE = 1.5, 0.4  # of the mean sentence of the source, in tokens
ROOM, LEAST_SHARE = 1.2, 0.6  # tokens for so many words: at most, and at least
PART_SHARE = 4  # the summary of a part is at most a quarter of the window, so that parts get fewer
LIKELY_ENOUGH = 0.9  # of what is left: most summaries are right at the first attempt
AGAIN = "Their summaries were summarized again."
MOST_MISSES = 50  # ranked sentences in a row that do not fit, until the window counts as full


Pieces = TypingGenerator[str, None, None]


class LongText(StrEnum):
    """What happens to a text beyond the model's window."""

    EXTRACT = "extract, then abstract"
    MAP_REDUCE = "map-reduce"


@dataclass(frozen=True)
class Step:
    """How far a summary is: the fraction done, the step, and in greedy search the words so far."""

    fraction: float
    name: str
    draft: str = ""


@dataclass(frozen=True)
class Chunk:
    """Sentences of a text that a model can read at once, and their places."""

    text: str
    sentences: tuple[int, ...]


def unheard(_: Step) -> None:
    """Take no notice of a step."""


def never() -> bool:
    """Tell that nobody has cancelled."""
    return False


class AbstractiveSummarizer:
    """Summarizes with a model in words of its own, as a `lib.summarize.model.Summarizer`."""

    def __init__(
        self, generator: Generator, parameters: Generation, way: LongText = LongText.EXTRACT
    ) -> None:
        self.name = generator.name
        self._generator = generator
        self._parameters = parameters
        self._way = way

    def summarize(
        self,
        request: SummaryRequest,
        progress: Callable[[Step], None] = unheard,
        cancelled: Callable[[], bool] = never,
    ) -> Summary:
        """Return the summary with the source sentences that each of its sentences is like.

        A length in sentences is met exactly, as far as the model writes that many; one in words or
        percent is never exceeded. No sentence is cut, and notes tell what is not as expected. A
        text no longer than the length is returned as it is. `progress` and `cancelled` are called
        in the caller's thread, at each token where the model allows it, and may raise. Raises
        `TextError`, what the model raises, and `StoppedError` once `cancelled` says so.
        """
        started = perf_counter()
        check_text(request.text)
        source = split(request.text)
        texts = [sentence_text(request.text, sentence) for sentence in source]
        split_at = perf_counter()
        if note := why_whole(source, request.length):
            reading, written = _Reading("", tuple(texts), (note,)), texts
        else:
            run = _Run(self._generator, self._parameters, request.length, progress, cancelled)
            run.measure(source, texts)
            reading = self._read(run, source, texts)
            written, said = run.finish(reading)
            reading = replace(reading, notes=(*reading.notes, *said))
        ranked_at = split_at + reading.rank_seconds
        written_at = perf_counter()
        timings = Timings(split_at - started, ranked_at - split_at, 0, written_at - ranked_at)
        summary = supported_summary(
            self.name, request.text, "\n\n".join(written), timings, reading.notes
        )
        timings = replace(timings, align=perf_counter() - written_at)
        return replace(summary, timings=timings, unread=reading.unread)

    def _read(self, run: _Run, source: tuple[SourceSentence, ...], texts: list[str]) -> _Reading:
        window = self._generator.window()
        if run.tokens <= window:
            return _Reading(" ".join(texts))
        if self._way is LongText.MAP_REDUCE:
            return run.map_reduce(texts)
        started = perf_counter()
        chosen = best_that_fit(source, texts, self._generator.count, window)
        seconds = perf_counter() - started
        if not chosen:
            first = chunks(texts, self._generator.count, window)[0]
            unread = tuple(place for place in range(len(texts)) if place not in first.sentences)
            note = (
                f"No sentence fits the model's window of {window:,} tokens: it read the beginning "
                "of the first. Map-reduce reads all."
            )
            return _Reading(first.text, (), (note,), unread, seconds)
        read = {content_of(texts[place]) for place in chosen}
        unread = tuple(place for place, text in enumerate(texts) if content_of(text) not in read)
        note = _share_read(source, unread, window)
        return _Reading(" ".join(texts[place] for place in chosen), (), (note,), unread, seconds)


@dataclass(frozen=True)
class _Reading:
    """What the last pass of the model reads, or the sentences that are the summary already."""

    text: str
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unread: tuple[int, ...] = ()
    rank_seconds: float = 0.0


@dataclass
class _Run:
    """One summary in the making."""

    generator: Generator
    parameters: Generation
    length: Length
    progress: Callable[[Step], None]
    cancelled: Callable[[], bool]
    done: float = 0.0  # of all passes
    tokens: int = 0  # of the source, and its sentences and words
    sentences: int = 1
    words: int = 1

    def measure(self, source: tuple[SourceSentence, ...], texts: list[str]) -> None:
        """Count the source; lengths are told to the model in tokens as the source has them."""
        self.tokens = self.generator.count(" ".join(texts))
        self.sentences = len(source)
        self.words = max(1, sum(each.words for each in source))

    def map_reduce(self, texts: list[str]) -> _Reading:
        """Read all sentences in parts, and their summaries again, until one pass can read all."""
        generator, window = self.generator, self.generator.window()
        parts = chunks(texts, generator.count, window)
        notes = [f"The text was read whole, in {len(parts):,} parts that end with a sentence."]
        if any(before.sentences[-1:] == after.sentences[:1] for before, after in pairwise(parts)):
            notes.append(
                f"A sentence longer than the model's window of {window:,} tokens was split "
                "between words."
            )
        needed = self._tokens_for_length(self.tokens)[1]
        level = 0
        while len(parts) > 1:
            level += 1
            if level == 2:  # noqa: PLR2004  # the second time
                notes.append(AGAIN)
            tokens = sum(generator.count(part.text) for part in parts)
            sentences = [
                sentence
                for number, part in enumerate(parts, start=1)
                for sentence in self._part(part.text, needed / len(parts), number, parts, level)
            ]
            self.done = 1 - 0.5**level  # half of what is left for each level
            if len(self._within(sentences)) == len(sentences):
                return _Reading("", tuple(sentences), tuple(notes))
            parts = chunks(sentences, generator.count, window)
            if sum(generator.count(part.text) for part in parts) >= tokens:
                raise GenerationError(
                    "The summaries of the parts are no shorter than the parts: choose fewer new "
                    "tokens, or the other way for long texts."
                )
        if AGAIN not in notes:
            notes.append(AGAIN)
        return _Reading(parts[0].text, (), tuple(notes))

    def finish(self, reading: _Reading) -> tuple[list[str], tuple[str, ...]]:
        """Return the sentences of the summary, within the length, and what there is to say."""
        if reading.sentences:
            return list(reading.sentences), self._too_few(len(reading.sentences))
        text = reading.text
        limit = max(1, min(MOST_NEW_TOKENS, self.generator.window() - 1))  # positions to write at
        least, most = self._tokens_for_length(self.generator.count(text))
        best: list[str] = []
        for _ in range(MOST_ATTEMPTS):
            least, most = min(least, limit), min(most, limit)
            share = LIKELY_ENOUGH * (1 - self.done)
            draft = self._write(text, least, most, "Writing the summary", share, shown=True)
            self.done += share
            written = whole_sentences(draft, most)
            best = max(best, self._within(written), key=len)
            if written and not best:
                raise _too_long(written[0])
            if best and not self._too_few(len(best)):
                break
            missing = (self.length.amount - len(best)) / self.length.amount if best else 0
            least, most = draft.new_tokens + int(missing * most), 2 * most
        if best:
            return best, self._too_few(len(best))
        said = f"The model did not end its sentence within {draft.new_tokens:,} tokens: it is cut."
        return [draft.text], (said,)

    def _part(
        self, text: str, needed: float, number: int, parts: Sequence[Chunk], level: int
    ) -> list[str]:
        """Return the sentences of the summary of a part; a part that is short is its own."""
        tokens, window = self.generator.count(text), self.generator.window()
        wanted = max(self.parameters.max_new_tokens, ceil(needed))
        if tokens <= min(wanted, window // PART_SHARE):
            return [sentence_text(text, each) for each in split(text)]
        most = max(1, min(wanted, window // PART_SHARE, tokens // 2))
        least = min(self.parameters.min_new_tokens, most // 2)
        name = f"Reading part {number:,} of {len(parts):,}"
        if level > 1:
            name = f"Reading summaries, part {number:,} of {len(parts):,}"
        self.done = 1 - 0.5 ** (level - 1) + 0.5**level * (number - 1) / len(parts)
        draft = self._write(text, least, most, name, 0.5**level / len(parts))
        return whole_sentences(draft, most) or [draft.text]

    def _write(  # noqa: PLR0913  # a pass of the model has this many sides
        self,
        text: str,
        least: int,
        most: int,
        name: str,
        rest: float,
        *,
        shown: bool = False,
    ) -> Draft:
        """Return what the model writes from a text, telling how far it is at each token."""
        parameters = replace(self.parameters, max_new_tokens=most, min_new_tokens=min(least, most))
        steps, written = 0, ""

        def go_on() -> None:
            self.progress(Step(self.done + rest * min(0.99, steps / most), name, written))
            if self.cancelled():
                raise StoppedError("The summary was stopped.")

        def asked() -> bool:
            nonlocal steps
            go_on()
            steps += 1
            return False

        go_on()
        if not shown or parameters.num_beams > 1:
            return self.generator.generate(text, parameters, asked)
        started = perf_counter()
        try:
            # A model may ask from a thread of its own, which no page and no job could bear.
            with closing(_stream(self.generator, text, parameters)) as pieces:
                for steps, piece in enumerate(pieces, start=1):  # noqa: B007  # told by go_on
                    written += piece
                    go_on()
        except CannotStreamError:
            return self.generator.generate(text, parameters, asked)
        if not written.strip():
            raise GenerationError("The model wrote nothing: try other parameters or another text.")
        count = self.generator.count
        new_tokens = max(0, count(written) - count(""))
        return Draft(written.strip(), count(text), new_tokens, perf_counter() - started)

    def _tokens_for_length(self, tokens: int) -> tuple[int, int]:
        """Return the least and most new tokens for the length, at most what is read has itself."""
        if self.length.unit is LengthUnit.SENTENCES:
            mean = self.tokens / self.sentences
            least = SHORT_SENTENCE * mean * self.length.amount
            most = LONG_SENTENCE * mean * self.length.amount + mean
        else:
            budget = self._budget() * self.tokens / self.words
            least, most = LEAST_SHARE * budget, ROOM * budget
        highest = max(1, min(ceil(most), tokens))
        return min(int(least), highest // 2), highest

    def _budget(self) -> int:
        """Return the words that a length in words or percent allows."""
        if self.length.unit is LengthUnit.WORDS:
            return self.length.amount
        return max(1, round(self.length.amount * self.words / 100))

    def _within(self, sentences: list[str]) -> list[str]:
        """Return the first sentences, as many as the length allows."""
        if self.length.unit is LengthUnit.SENTENCES:
            return sentences[: self.length.amount]
        left, kept = self._budget(), []
        for sentence in sentences:
            left -= count_words(sentence)
            if left < 0:
                break
            kept.append(sentence)
        return kept

    def _too_few(self, sentences: int) -> tuple[str, ...]:
        if self.length.unit is not LengthUnit.SENTENCES or sentences >= self.length.amount:
            return ()
        noun = "sentence" if sentences == 1 else "sentences"
        return (
            f"The model wrote only {sentences:,} {noun} of the {self.length.amount:,} asked for.",
        )


def chunks(texts: Sequence[str], count: Callable[[str], int], window: int) -> tuple[Chunk, ...]:
    """Return the sentences in chunks of about the same size, in order, none above the window.

    Every sentence is in exactly one chunk; one above the window by itself is split between words,
    or characters where there are no spaces, and its pieces are in chunks of their own.
    """
    around = count("")
    room = max(1, window - around)
    pieces = deque(
        (place, piece, max(1, count(piece) - around))
        for place, text in enumerate(texts)
        for piece in _pieces(text, count, window)
    )
    total = sum(size for _, _, size in pieces)
    target = total / ceil(total / room) if total else 0
    found = []
    while pieces:
        part, size = [pieces.popleft()], 0
        alone = count(texts[part[0][0]]) > window
        size = part[0][2]
        while pieces and not alone and size < target and size + pieces[0][2] <= room:
            if count(texts[pieces[0][0]]) > window:
                break
            size += pieces[0][2]
            part.append(pieces.popleft())
        while len(part) > 1 and count(_joined(part)) > window:
            pieces.appendleft(part.pop())
        found.append(Chunk(_joined(part), tuple(place for place, _, _ in part)))
    return tuple(found)


def best_that_fit(
    source: tuple[SourceSentence, ...],
    texts: list[str],
    count: Callable[[str], int],
    window: int,
) -> list[int]:
    """Return the places of the best sentences that fit the window together, in source order."""
    around = count("")
    left, misses = window - around, 0
    chosen: list[int] = []
    for place in ranked_sentences(source, texts):
        size = count(texts[place]) - around
        if size <= left:
            chosen.append(place)
            left, misses = left - size, 0
        else:
            misses += 1
        if left <= 0 or misses > MOST_MISSES:
            break
    while chosen and count(" ".join(texts[place] for place in sorted(chosen))) > window:
        chosen.pop()  # the least of them: tokens of a joined text may be a few more
    return sorted(chosen)


def whole_sentences(draft: Draft, most: int) -> list[str]:
    """Return the sentences of a draft, without one that the limit of tokens has cut off."""
    sentences = [sentence_text(draft.text, each) for each in split(draft.text)]
    ended = draft.new_tokens < most - 1  # counts of streamed and remote drafts may differ by one
    if sentences and not ended and not is_finished(sentences[-1]):
        sentences.pop()
    return sentences


def _pieces(text: str, count: Callable[[str], int], window: int) -> Iterator[str]:
    if count(text) <= window or len(text) <= 1:
        yield text
        return
    middle = len(text) // 2
    space = max(text.rfind(" ", 1, middle + 1), 0) or text.find(" ", middle, -1)
    at = space if space > 0 else middle
    for half in (text[:at].strip(), text[at:].strip()):
        if half:
            yield from _pieces(half, count, window)


def _joined(part: Sequence[tuple[int, str, int]]) -> str:
    return " ".join(piece for _, piece, _ in part)


def _stream(generator: Generator, text: str, parameters: Generation) -> Pieces:
    """Yield the pieces; closing it stops the model too."""
    yield from generator.stream(text, parameters, never)


def _too_long(sentence: str) -> TextError:
    words = count_words(sentence)
    return TextError(
        f"The model's first sentence has {words:,} words, more than were asked for: ask for "
        f"{words:,} or more, or for a length in sentences."
    )


def _share_read(source: tuple[SourceSentence, ...], unread: tuple[int, ...], window: int) -> str:
    words = sum(each.words for each in source)
    read = words - sum(source[place].words for place in unread)
    share = f"{100 * read / words:.0f} %" if 100 * read >= words else "below 1 %"
    return (
        f"The model read {len(source) - len(unread):,} of {len(source):,} sentences ({read:,} of "
        f"{words:,} words, {share}): the best that fit its window of {window:,} "
        "tokens, in the order of the text. Map-reduce reads all."
    )
