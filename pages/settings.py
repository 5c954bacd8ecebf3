"""Settings: connections, engines, users and the audit log."""

import streamlit as st

from lib import ui
from lib.ui import settings_view

visit = ui.guard(__file__)
ui.header(visit.page)

aws, engines, users, audit, configuration = st.tabs(
    ["AWS", "Engines", "Users", "Audit log", "Configuration"],
    key="settings_tab",
    bind="query-params",
    on_change="rerun",
)
if aws.open:
    with aws:
        settings_view.show_aws()
if engines.open:
    with engines:
        settings_view.show_engines(visit.user)
if users.open:
    with users:
        settings_view.show_users(visit.user)
if audit.open:
    with audit:
        settings_view.show_audit_log()
if configuration.open:
    with configuration:
        settings_view.show_configuration()
