"""Environments of their own for peers whose dependencies are not ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.settings import ROOT

FOLDER = ROOT / "bench-results" / "peers"


def peer_python(name: str, requirements: Sequence[str]) -> Path | None:
    """Return the interpreter of an environment with the requirements, made on first use.

    None where the packages cannot be had.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    ready = folder / "ready"
    wanted = "\n".join(requirements)
    if ready.is_file() and ready.read_text() == wanted:
        return python
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        *requirements,
    ]
    if subprocess.run(install, check=False, capture_output=True).returncode != 0:
        return None
    ready.write_text(wanted)
    return python
