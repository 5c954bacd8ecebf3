"""Components that ship with the app: a folder `<name>_view` with one script and one style each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

PACKAGE = "sightline"


def component(name: str) -> ComponentRenderer:
    """Return what draws a component, from `<name>_view/<name>.js` and `.css`.

    They are served as files of our own origin: an inlined script would need `blob:` in the CSP.
    """
    assets = f"{name}_view"
    manager = get_bidi_component_manager()
    # Once for each runtime: registering again would put a placeholder in place of the files.
    if manager.get_component_asset_root(f"{PACKAGE}.{assets}") is None:
        manifest = ComponentManifest(PACKAGE, "1", [ComponentConfig(assets, asset_dir=assets)])
        manager.register_from_manifest(manifest, Path(__file__).parent)
    return st.components.v2.component(
        f"{PACKAGE}.{assets}", js=f"{name}.js", css=f"{name}.css", isolate_styles=True
    )
