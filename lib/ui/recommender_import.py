"""Tables of metrics out of files, and the tables that were kept."""

from __future__ import annotations

import streamlit as st

from lib.identity import Role, User
from lib.recommender.kept import delete_table, keep_table, kept_tables
from lib.recommender.model import identity_holds
from lib.recommender.tables import TableError, read_table
from lib.settings import settings
from lib.ui import resources
from lib.ui.guard import acting_user
from lib.ui.markdown import escape
from lib.ui.recommender_rows import TABLES

JUST_KEPT = "recommender.kept"
KEPT, DELETED = "kept a metric table", "deleted a metric table"


def show_import(user: User) -> None:
    """Draw the upload of a table, what it holds, and the kept tables."""
    may = user.role.allows(Role.ANALYST)
    st.markdown("**Import the results of an Inference Recommender job**")
    file = st.file_uploader(
        "The answer of DescribeInferenceRecommendationsJob as JSON, or a CSV with its columns",
        type=["json", "csv"], key="recommender_upload", max_upload_size=settings().max_upload_mb,
        disabled=not may,
    )  # fmt: skip
    if kept := st.session_state.pop(JUST_KEPT, ""):
        st.success(
            f"{escape(kept)} is kept: choose it under Choose or Table.", icon=":material/check:"
        )
    if file is not None:
        _show_upload(file.name, file.getvalue())
    _show_kept(may=may)


def _show_upload(name: str, content: bytes) -> None:
    try:
        table = read_table(content)
    except TableError as error:
        st.error(escape(str(error)), icon=":material/error:")
        return
    for note in table.notes:
        st.caption(escape(note))
    held = [identity_holds(row) for row in table.rows]
    wrong = [
        row.configuration for row, holds in zip(table.rows, held, strict=True) if holds is False
    ]
    if wrong:
        st.warning(
            escape(
                f"CostPerInference of {', '.join(wrong)} is not CostPerHour / (60 × "
                "MaxInvocations): the file was changed, or its columns are other ones."
            ),
            icon=":material/warning:",
        )
    st.caption(f"{len(table.rows)} rows.")
    title = st.text_input("Name of the table", name.rpartition(".")[0], key="recommender_name")
    st.button(
        "Keep", type="primary", icon=":material/save:", key="recommender_keep",
        disabled=not title.strip(), on_click=_keep, args=(title.strip(), content),
    )  # fmt: skip


def _keep(title: str, content: bytes) -> None:
    user = acting_user(Role.ANALYST)
    table = read_table(content)
    kept = keep_table(settings(), title, user.username, table.rows, notes=table.notes)
    resources.identity().record(user.username, KEPT, title, f"{len(table.rows)} rows")
    st.session_state[TABLES] = [kept.id]
    st.session_state[JUST_KEPT] = title


def _show_kept(*, may: bool) -> None:
    found = kept_tables(settings())
    if not found:
        return
    st.markdown("**Kept tables**")
    for table in found:
        with st.container(
            horizontal=True, vertical_alignment="center", border=True, key=f"recommender_{table.id}"
        ):
            st.text(table.name, width="stretch")
            st.caption(
                f"{len(table.rows)} rows · {escape(table.owner)} · {table.at:%Y-%m-%d}",
                width="content",
            )
            st.button(
                "Delete", icon=":material/delete:", key=f"recommender_delete_{table.id}",
                disabled=not may, on_click=_delete, args=(table.id, table.name),
            )  # fmt: skip


def _delete(table_id: str, name: str) -> None:
    user = acting_user(Role.ANALYST)
    delete_table(settings(), table_id)
    resources.identity().record(user.username, DELETED, name, "")
