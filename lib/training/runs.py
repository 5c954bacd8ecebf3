"""The runs of this installation: kept here, in the folders of the operator, and those that ship."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lib.settings import Settings
from lib.training.folder import cache_of, open_profile
from lib.training.model import Profile, TrainingError

SAMPLES = Path(__file__).parent / "samples"
WORDS = {
    "single": "one process, good loader",
    "single_slow": "one process, starved loader",
    "single_slow_w2": "one process, the same loader with two workers",
    "ddp": "two processes, DDP",
    "ddp_slow": "two processes, DDP, starved loader",
    "ddp_straggler": "two processes, DDP, one straggles",
    "fsdp": "two processes, FSDP",
    "pp": "two processes, pipeline, no step events",
}
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")


@dataclass(frozen=True)
class Run:
    """A run to choose: its id, what to call it, and where it lies."""

    id: str
    title: str
    place: Path
    is_sample: bool = False
    is_kept: bool = True  # and so may be deleted here


def runs(now_settings: Settings) -> tuple[Run, ...]:
    """Return the runs, those of this installation first, newest first."""
    folder = runs_folder(now_settings)
    own = sorted(
        (
            one
            for one in folder.glob("*")
            if one.suffix != ".arrow" and not one.name.startswith(".")
        ),
        key=lambda one: one.stat().st_mtime,
        reverse=True,
    )
    found = [Run(one.name, one.name, one) for one in own]
    found += [
        Run(f"{root.name}-{one.name}", f"{root.name}/{one.name}", one, is_kept=False)
        for root in now_settings.profile_roots
        if root.is_dir()
        for one in sorted(root.iterdir())
        if not one.name.startswith(".")
    ]
    found += [
        Run(
            f"sample-{name}",
            f"Sample: {words}",
            SAMPLES / f"{name}.zip",
            is_sample=True,
            is_kept=False,
        )
        for name, words in WORDS.items()
    ]
    return tuple(found)


def profile_of(now_settings: Settings, run: Run) -> Profile:
    """Return the profile of a run; raises `TrainingError`."""
    if run.is_sample:
        return open_profile(run.place)
    return open_profile(run.place, cache_of(cache_folder(now_settings), run.place))


def stamp_of(run: Run) -> str:
    """Return what changes when a file of the run does; raises OSError where it is gone."""
    files = [run.place] if run.place.is_file() else [*run.place.rglob("*")]
    stats = [one.stat() for one in files]
    newest = max((one.st_mtime_ns for one in stats), default=0)
    return f"{len(stats)} {sum(one.st_size for one in stats)} {newest}"


def keep_upload(now_settings: Settings, name: str, content: bytes) -> Run:
    """Keep an uploaded archive or trace, and return it; raises `TrainingError` for a bad name."""
    if not _NAME.fullmatch(name):
        raise TrainingError("The file's name has letters, digits, '.', '-' and '_' only.")
    folder = runs_folder(now_settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    aside = folder / f".{name}.new"
    aside.write_bytes(content)
    aside.rename(path)
    return Run(name, name, path)


def delete_run(now_settings: Settings, run_id: str) -> None:
    """Delete a run that is no sample, with its cache."""
    if not _NAME.fullmatch(run_id):
        return
    place = runs_folder(now_settings) / run_id
    cache_of(cache_folder(now_settings), place).unlink(missing_ok=True)
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def runs_folder(now_settings: Settings) -> Path:
    """Return the folder of the runs of this installation."""
    return now_settings.data_dir / "training" / "runs"


def cache_folder(now_settings: Settings) -> Path:
    """Return the folder of the caches."""
    return now_settings.data_dir / "training" / "cache"
