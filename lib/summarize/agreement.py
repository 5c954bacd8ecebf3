"""Whether the fast engine writes what the reference writes, on the user's own text.

Weights of eight bits change some words of some summaries; how many depends on model and text, so
it is shown and not promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.summarize.model import Draft
from lib.summarize.terms import tokens_of


@dataclass(frozen=True)
class Agreement:
    """What two engines wrote from one text with the same settings."""

    reference: Draft
    fast: Draft

    @property
    def rouge_l(self) -> float:
        """Return ROUGE-L F1 between the two, 0 to 1, without stemming (Lin 2004)."""
        return rouge_l(tokens_of(self.reference.text), tokens_of(self.fast.text))

    @property
    def identical(self) -> float:
        """Return the share of words, 0 to 1, that are the same at the same place.

        One word more or less moves all that follow: a low share with a high ROUGE-L says so.
        """
        ours, theirs = tokens_of(self.reference.text), tokens_of(self.fast.text)
        longest = max(len(ours), len(theirs))
        same = sum(one == other for one, other in zip(ours, theirs, strict=False))
        return same / longest if longest else 1.0

    @property
    def sentence(self) -> str:
        """Return what the figures say, for people."""
        if self.reference.text == self.fast.text:
            return "Both engines wrote the same text. On another text they may not."
        return (
            f"The texts agree to {self.rouge_l:.0%} (ROUGE-L); {self.identical:.0%} of the words "
            "stand at the same place. Read both: the quality with eight-bit weights is not a given."
        )


def rouge_l(reference: Sequence[str], candidate: Sequence[str]) -> float:
    """Return the F1 of the longest common subsequence of two lists of words, 0 to 1."""
    if not reference or not candidate:
        return float(reference == candidate)
    row = [0] * (len(candidate) + 1)
    for word in reference:
        before = 0
        for place, other in enumerate(candidate, start=1):
            before, row[place] = (
                row[place],
                before + 1 if word == other else max(row[place], row[place - 1]),
            )
    return 2 * row[-1] / (len(reference) + len(candidate))
