"""The layers of the house, and the guard at every door."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from lib.settings import ROOT
from lib.ui.pages import PAGES

PAGE_FILES = sorted((ROOT / "pages").glob("*.py"))


def test_layers_hold() -> None:
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    run = subprocess.run(
        [sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_page_file_is_registered() -> None:
    assert {path.name for path in PAGE_FILES} == {page.file for page in PAGES}


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: path.name)
def test_a_page_calls_the_guard_before_anything_else(path: Path) -> None:
    module = ast.parse(path.read_text())
    body = [node for node in module.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    docstring, first = body[0], body[1]
    assert isinstance(docstring, ast.Expr)
    assert isinstance(first, ast.Assign)
    assert ast.unparse(first) == "visit = ui.guard(__file__)"


@pytest.mark.parametrize("path", PAGE_FILES, ids=lambda path: path.name)
def test_a_page_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 80


def test_the_sagemaker_adapters_leave_the_sdks_to_the_functions_that_need_them() -> None:
    modules = "lib.summarize.sagemaker_endpoint, lib.summarize.sagemaker_hosting"
    check = f"import sys, {modules}; sys.exit(bool({{'boto3', 'sagemaker'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False)
    assert run.returncode == 0


@pytest.mark.parametrize("heavy", ["boto3", "pypdfium2", "numba", "alembic", "onnxruntime"])
def test_importing_the_pages_frame_leaves_heavy_libraries_out(heavy: str) -> None:
    check = f"import sys, lib.ui, lib.ui.resources; sys.exit({heavy!r} in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False)
    assert run.returncode == 0, f"{heavy} is imported before anybody needs it"
