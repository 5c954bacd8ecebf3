"""What the Batch view draws: a file and its columns, the job over its texts, the leaderboard."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from lib.identity import Role, User
from lib.jobs import Job, JobState
from lib.settings import settings
from lib.summarize.batch import (
    Batch,
    Done,
    batches_folder,
    create_batch,
    delete_batch,
    job_of,
    list_batches,
    read_done,
    read_items,
    results_table,
    start_batch,
)
from lib.summarize.batch_files import (
    SUFFIXES,
    Fault,
    Item,
    Roles,
    Row,
    Table,
    guess_roles,
    items_of,
    no_text_column,
    read_table,
)
from lib.summarize.comparison import METRICS, Candidate, Metric, Scores
from lib.summarize.leaderboard import (
    LEAST_TEXTS,
    RESAMPLES,
    Interval,
    Leaderboard,
    Verdict,
    finding,
    leaderboard,
    rankable,
)
from lib.summarize.model import TextError
from lib.summarize.samples import SAMPLES
from lib.ui import resources
from lib.ui.background import follow
from lib.ui.charts import show_chart
from lib.ui.comparison_view import metric_column
from lib.ui.engine_choice import LETTERS, choose_candidates, labels_of
from lib.ui.guard import acting_user
from lib.ui.job_view import show_job
from lib.ui.markdown import escape
from lib.ui.session import remember
from lib.ui.tables import csv_text, show_table

UPLOADED = "batch.uploaded"  # the last upload: the uploader forgets on a change of page
OPEN = "batch_open"  # the id of the batch that is shown; bound to the address
NEW = "new"
FAULTS_SHOWN = 100
PREVIEWED = 200  # characters of a text
NO_COLUMN = "(none)"


def show_batches(user: User) -> None:
    """Draw the Batch view: a new batch, or one that runs or ran."""
    batches = {
        batch.folder.name: batch
        for batch in list_batches(batches_folder(settings()), user.username)
    }
    inputs, results = st.columns([1, 3], gap="medium")
    with inputs:
        chosen = _choose_batch(batches)
        if chosen is None:
            name, table = _choose_file()
            roles = _choose_roles(table)
            candidates = choose_candidates("batch", in_columns=False)
    with results:
        if chosen is None:
            _show_new(user, name, table, roles, candidates)
        else:
            _show_batch(user, chosen)


def _choose_batch(batches: dict[str, Batch]) -> Batch | None:
    if not batches:
        return None
    if st.session_state.get(OPEN, NEW) not in {NEW, *batches}:
        st.session_state[OPEN] = NEW  # it was deleted elsewhere
    chosen = st.selectbox(
        "Batch",
        [NEW, *batches],
        index=1,  # the newest: a job is found again however one comes back
        format_func=lambda key: "New batch" if key == NEW else _title(batches[key]),
        key=OPEN,
        bind="query-params",
        persist_state="session",
    )
    return batches.get(chosen)


def _title(batch: Batch) -> str:
    """Return what to call a batch; the address holds it, so no two may have the same."""
    return f"{batch.name}, {batch.created_at:%d %b %H:%M} UTC ({batch.folder.name[:4]})"


# ------------------------------------------------------------------------------------- new batch


def _choose_file() -> tuple[str, Table]:
    limit = settings().max_upload_mb
    file = st.file_uploader(
        f"Texts as CSV or JSON Lines, up to {limit} MB",
        type=list(SUFFIXES),
        max_upload_size=limit,
        key="batch_file",
        help="A row for each text, with a reference summary where you have one.",
    )
    if file is not None:
        try:
            table = read_table(file.name, file.getvalue(), limit)
        except TextError as error:
            st.error(escape(str(error)), icon=":material/error:")
        else:
            st.session_state[UPLOADED] = (file.name, table)
    kept: tuple[str, Table] = st.session_state.get(UPLOADED, ("Sample texts", _samples()))
    st.caption(f"{escape(kept[0])}, rows: {len(kept[1].rows):,}")
    return kept


def _samples() -> Table:
    rows = tuple(
        Row(line, {"id": (sample.title,), "text": (sample.text,)})
        for line, sample in enumerate(SAMPLES, start=1)
    )
    return Table(("id", "text"), rows, ())


def _choose_roles(table: Table) -> Roles:
    guessed = guess_roles(table.columns)
    columns = [NO_COLUMN, *table.columns]

    def choose(label: str, guess: str) -> str:
        chosen = st.selectbox(
            label,
            columns,
            index=columns.index(guess) if guess else 0,
            key=f"batch_column_{label}_{hash(table.columns)}",
        )
        return "" if chosen == NO_COLUMN else chosen

    return Roles(
        choose("Texts are in", guessed.text),
        choose("References are in", guessed.reference),
        choose("Names are in", guessed.id),
    )


def _show_new(
    user: User, name: str, table: Table, roles: Roles, candidates: Sequence[Candidate]
) -> None:
    if not roles.text:
        st.warning(escape(no_text_column(table.columns)), icon=":material/warning:")
        return
    items, faults = remember("batch_items", (table, roles), lambda: items_of(table, roles))
    referenced = sum(bool(item.references) for item in items)
    st.markdown(
        f"**Texts: {len(items):,}**, with a reference: {referenced:,}, "
        f"lines that cannot be used: {len(faults):,}"
    )
    _show_preview(items)
    _show_faults(faults)
    st.caption(
        "Running a batch stores its texts and summaries on this Sightline's disk, until you delete "
        "the batch. The job goes on when you close the browser."
    )
    may_run = user.role.allows(Role.ANALYST)
    st.button(
        "Run the batch",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not items or not may_run,
        help=None if may_run else "This needs the role analyst.",
        key="batch_run",
        on_click=_run,
        args=(name, items, tuple(candidates)),
    )


def _run(name: str, items: tuple[Item, ...], candidates: tuple[Candidate, ...]) -> None:
    user = acting_user(Role.ANALYST)
    batch = create_batch(
        batches_folder(settings()),
        name=name,
        owner=user.username,
        items=items,
        candidates=candidates,
    )
    start_batch(resources.jobs(), batch)
    resources.identity().record(user.username, "started a batch", name, f"{len(items)} texts")
    st.session_state[OPEN] = batch.folder.name


def _show_preview(items: Sequence[Item]) -> None:
    frame = pd.DataFrame(
        [
            (item.id, len(item.text.split()), item.text[:PREVIEWED], " ".join(item.references))
            for item in items[:FAULTS_SHOWN]
        ],
        columns=["id", "words", "text", "reference"],
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "id": st.column_config.TextColumn("Name", pinned=True),
            "words": st.column_config.NumberColumn("Words", format="%d"),
            "text": st.column_config.TextColumn("Text begins"),
            "reference": st.column_config.TextColumn("Reference"),
        },
        key="batch_preview",
        alt="The first texts of the file",
    )


def _show_faults(faults: Sequence[Fault]) -> None:
    if not faults:
        return
    with st.expander(f"Lines that cannot be used: {len(faults):,}", icon=":material/warning:"):
        for fault in faults[:FAULTS_SHOWN]:
            st.text(f"Line {fault.line:,}: {fault.reason}")


# ------------------------------------------------------------------------------------- one batch


def _show_batch(user: User, batch: Batch) -> None:
    job = job_of(resources.jobs(), batch)
    if job is not None:
        show_job(job, may_cancel=True)
        if not job.finished:
            return
    attempt = "" if job is None else job.id  # whose results do not change any more
    done = remember("batch_done", (batch.folder, attempt), lambda: read_done(batch))
    _show_actions(user, batch, job, len(done))
    if not done:
        return
    labels = labels_of(batch.candidates)
    if len(done) < batch.texts:
        st.caption(f"{len(done):,} of {batch.texts:,} texts are done; this is about them.")
    scores = tuple(each.scores for each in done)
    metrics = rankable(scores)
    if metrics:
        _show_leaderboard(batch, scores, metrics, labels)
    else:
        st.info("No text was summarized by every engine.", icon=":material/info:")
    _show_results(batch, done, labels)


def _show_actions(user: User, batch: Batch, job: Job | None, done: int) -> None:
    with st.container(horizontal=True):
        if done < batch.texts and (job is None or job.state is not JobState.DONE):
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                type="primary",
                disabled=not user.role.allows(Role.ANALYST),
                key="batch_resume",
                on_click=_resume,
                args=(batch,),
            )
        st.button(
            "Delete the batch",
            icon=":material/delete:",
            key="batch_delete",
            help="Deletes its texts, summaries and scores from the disk.",
            on_click=_delete,
            args=(batch,),
        )


def _resume(batch: Batch) -> None:
    user = acting_user(Role.ANALYST)
    start_batch(resources.jobs(), batch)
    resources.identity().record(user.username, "resumed a batch", batch.name)


def _delete(batch: Batch) -> None:
    user = acting_user(Role.VIEWER)
    delete_batch(resources.jobs(), batch)
    resources.identity().record(user.username, "deleted a batch", batch.name)
    st.session_state[OPEN] = NEW


def _show_leaderboard(
    batch: Batch,
    scores: tuple[tuple[Scores, ...], ...],
    metrics: Sequence[Metric],
    labels: Sequence[str],
) -> None:
    by_key = {metric.key: metric for metric in metrics}
    key = st.selectbox(
        "Rank by",
        list(by_key),
        format_func=lambda each: by_key[each].name,
        key="batch_metric",
        bind="query-params",
        persist_state="session",
    )
    board = follow(
        "batch_leaderboard",
        (batch.folder, len(scores), key),
        lambda _: leaderboard(scores, by_key[key]),
    )
    if board is None:
        return
    st.markdown(f"**{escape(finding(board, LETTERS))}**")
    _show_intervals(board, labels)
    _show_standings(board, labels)
    st.caption(
        f"Means with 95 % intervals from {RESAMPLES:,} paired bootstrap resamples of the texts. "
        "Not significantly different: the interval of the difference from the best holds 0. Each "
        "is compared with the best one alone, without a correction for several comparisons. "
        f"Below {LEAST_TEXTS} texts there is no verdict."
    )


def _show_intervals(board: Leaderboard, labels: Sequence[str]) -> None:
    from plotly.graph_objects import Figure, Scatter

    metric = board.metric
    means = [each.means[metric.key] for each in board.standings][::-1]
    # Plotly reads tags; what a model is called may hold some.
    names = [html.escape(labels[each.candidate]) for each in board.standings][::-1]
    figure = Figure(
        Scatter(
            x=[each.mean for each in means],
            y=names,
            mode="markers",
            marker={"size": 10},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [each.high - each.mean for each in means],
                "arrayminus": [each.mean - each.low for each in means],
            },
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    )
    figure.update_xaxes(title=f"{metric.name} ({metric.unit})" if metric.unit else metric.name)
    alt = f"{metric.name} of each engine with 95 % intervals; {finding(board, labels)}"
    show_chart(figure, key="batch_chart", alt=alt, height=80 + 45 * len(names))


def _show_standings(board: Leaderboard, labels: Sequence[str]) -> None:
    metric = board.metric
    others = [
        each for each in METRICS if each is not metric and each.key in board.standings[0].means
    ]
    rows = [
        {
            "engine": labels[each.candidate],
            metric.key: each.means[metric.key].mean,
            "interval": _ends(each.means[metric.key], metric),
            "verdict": each.verdict.value,
            "difference": (
                "" if each.verdict is Verdict.BEST else _difference(each.difference, metric)
            ),
            **{other.key: each.means[other.key].mean for other in others},
        }
        for each in board.standings
    ]
    show_table(
        pd.DataFrame(rows),
        columns={
            "engine": st.column_config.TextColumn("Engine", pinned=True),
            metric.key: metric_column(metric),
            "interval": st.column_config.TextColumn("95 % interval"),
            "verdict": st.column_config.TextColumn("Beside the best"),
            "difference": st.column_config.TextColumn(
                "Difference from the best", help="Paired: mean and 95 % interval."
            ),
            **{
                other.key: metric_column(replace(other, digits=max(1, other.digits)))
                for other in others
            },
        },
        name="leaderboard",
        alt="Leaderboard of the batch, best first",
    )


def _ends(interval: Interval, metric: Metric) -> str:
    digits = max(1, metric.digits)
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def _difference(interval: Interval, metric: Metric) -> str:
    return f"{interval.mean:.{max(1, metric.digits)}f} ({_ends(interval, metric)})"


def _show_results(batch: Batch, done: Sequence[Done], labels: Sequence[str]) -> None:
    failed = [
        (each.item, label, outcome.reason)
        for each in done
        for label, outcome in zip(labels, each.outcomes, strict=True)
        if outcome.reason
    ]
    if failed:
        items = read_items(batch)
        with st.expander(
            f"Summaries that were not made: {len(failed):,}", icon=":material/warning:"
        ):
            for item, label, reason in failed[:FAULTS_SHOWN]:
                st.text(f"{items[item].id}, {label}: {reason}")
    st.download_button(
        "Download all summaries and scores (CSV)",
        lambda: csv_text(results_table(read_items(batch), done, labels)),
        file_name=f"{Path(batch.name).stem}-summaries.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="batch_download",
    )
