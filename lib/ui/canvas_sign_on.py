"""Single sign-on into Canvas, and the function of the post: what to enter, deploy and check."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from lib.canvas.model import CanvasError
from lib.canvas.sign_on import Wanted, assist, check_metadata, check_trust
from lib.canvas.templates import function_template, sign_on_template
from lib.settings import settings
from lib.ui import resources
from lib.ui.markdown import escape

PROVIDER = "arn:aws:iam::123456789012:saml-provider/AWS_SSO_Canvas"
CALLER = "arn:aws:iam::123456789012:role/sightline"


def show_sign_on() -> None:
    """Draw the assistant: what to enter in the identity provider and in IAM, and two checks."""
    st.markdown(
        "**Single sign-on opens Canvas without this page**: a custom SAML 2.0 application in IAM "
        "Identity Center, or in another identity provider, whose relay state leads there."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        region = st.text_input(
            "Region", resources.aws().region or "us-east-1", key="canvas_region", width=170
        )
        domain = st.text_input(
            "Domain", settings().canvas_domain or "d-abc123xyz", key="canvas_domain", width=220
        )
        provider = st.text_input("SAML provider", PROVIDER, key="canvas_provider", width=480)
    try:
        wanted = Wanted(region.strip(), domain.strip(), provider.strip())
    except CanvasError as error:
        st.warning(escape(str(error)), icon=":material/warning:")
        return
    found = assist(wanted)
    st.markdown("**1 · Enter in the application**")
    st.caption("Relay state")
    st.code(found.relay_state, language=None, wrap_lines=True)
    st.caption("ACS URL, and audience")
    st.code(f"{found.acs_url}\n{found.audience}", language=None, wrap_lines=True)
    st.caption("Attribute mappings")
    st.dataframe(
        pd.DataFrame(found.attributes, columns=["Attribute", "Maps to"]), hide_index=True,
        alt="Attribute mappings of the application",
    )  # fmt: skip
    st.markdown("**2 · Create in IAM**")
    permissions, trust = st.columns(2)
    with permissions:
        st.caption("Permissions of the role")
        st.code(json.dumps(found.permissions, indent=2), language="json", wrap_lines=True)
    with trust:
        st.caption("Who may take it on")
        st.code(json.dumps(found.trust, indent=2), language="json", wrap_lines=True)
    st.download_button(
        "Template of the role", sign_on_template(found.permissions, found.trust),
        file_name="canvas-sign-on.yaml", mime="application/yaml", key="canvas_template",
        on_click="ignore", icon=":material/download:",
    )  # fmt: skip
    _show_checks(wanted)


def _show_checks(wanted: Wanted) -> None:
    st.markdown("**3 · Check what is there**")
    file = st.file_uploader("SAML metadata of the identity provider", type=["xml"],
                            key="canvas_metadata")  # fmt: skip
    if file is not None:
        try:
            _say(check_metadata(file.getvalue()), "The metadata are in order.")
        except CanvasError as error:
            st.error(escape(str(error)), icon=":material/error:")
    policy = st.text_area("Trust policy of an existing role", key="canvas_trust", height=110)
    if policy.strip():
        _say(check_trust(policy, wanted.provider), "The role may be taken on by single sign-on.")


def _say(wrong: tuple[str, ...], well: str) -> None:
    if not wrong:
        st.success(well, icon=":material/check:")
    for one in wrong:
        st.warning(escape(one), icon=":material/warning:")


def show_function() -> None:
    """Draw the Lambda function that makes links instead of this server, and how to deploy it."""
    st.markdown(
        "**Links can be made by a Lambda function** instead of this server, as the AWS post has "
        "it, but behind IAM: this server signs its call, the function knows one domain, and its "
        "role may do nothing else."
    )
    st.code(
        "aws cloudformation deploy --stack-name canvas-launch \\\n"
        "  --template-file canvas-launch.yaml \\\n"
        "  --capabilities CAPABILITY_IAM --parameter-overrides \\\n"
        f"  DomainId={settings().canvas_domain or 'd-abc123xyz'} CallerRoleArn={CALLER}",
        language="bash",
    )
    st.caption("Then set SIGHTLINE_CANVAS_FUNCTION_URL to the stack's output FunctionUrl.")
    template = function_template()
    st.download_button(
        "Template of the function", template, file_name="canvas-launch.yaml",
        mime="application/yaml", key="canvas_function", on_click="ignore",
        icon=":material/download:",
    )  # fmt: skip
    with st.expander("Look at it", key="canvas_function_code"):
        st.code(template, language="yaml")
