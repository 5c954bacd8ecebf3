"""One marked summary beside its source, drawn as a page would draw it."""

from lib.summarize.model import Timings
from lib.summarize.support import marks_of, supported_summary
from lib.ui.evidence import show_evidence

SOURCE = (
    "The plant of Acme in Ohio made 300 pumps on 3 May 2024. "
    "Its workers were happy about it. "
    "The weather in spring was mild."
)
SUMMARY = (
    "The bankrupt plant of Acme made 400 pumps on 4 May 2024, said Globex. "
    "Nobody <img src=x onerror=document.title='owned'> complained."
)

made = supported_summary("test", SOURCE, SUMMARY, Timings(0, 0, 0))
show_evidence(made, SOURCE, key="evidence", marks=marks_of(SOURCE, made))
