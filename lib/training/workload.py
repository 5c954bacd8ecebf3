"""A tiny GPT that is trained here for some seconds, with a loader that is good or starved.

`python -m lib.training.workload FOLDER fast|slow SECONDS` trains on made-up bytes in a process of
its own, one thread, and records itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from lib.jobs import Job, JobError, Jobs, Report, job
from lib.settings import ROOT, Settings, settings
from lib.training.runs import runs_folder

LOADERS = {"fast": 0.0, "slow": 0.02}  # seconds that a batch takes to load
LAYERS, HEADS, WIDTH, CONTEXT, BATCH = 2, 4, 64, 64, 8
MOST_SECONDS = 30.0
SHARE = 0.45  # of the time that each of the two runs gets


def start_workload(jobs: Jobs, owner: str, seconds: float = MOST_SECONDS) -> Job:
    """Return the job that trains with a starved and with a good loader."""
    return jobs.submit(
        train_both, title="Train a tiny GPT here", owner=owner, seconds=min(seconds, MOST_SECONDS)
    )


@job()
def train_both(report: Report, seconds: float) -> dict[str, Any]:
    """Train twice, with a starved and with a good loader, and return the names of the runs."""
    stamp = time.strftime("%H%M%S")
    names = {}
    for number, loader in enumerate(("slow", "fast")):
        name = f"tiny-gpt-{loader}-{stamp}"
        _train(report, (0.5 * number, 0.5), (settings(), name, loader), SHARE * seconds)
        names[loader] = name
    return {"runs": names}


def _train(
    report: Report, span: tuple[float, float], run: tuple[Settings, str, str], seconds: float
) -> None:
    now_settings, name, loader = run
    folder = runs_folder(now_settings) / name
    process = subprocess.Popen(  # noqa: S603 - our own module, and a name made here
        [sys.executable, "-m", "lib.training.workload", str(folder), loader, str(seconds)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    begun = time.monotonic()
    try:
        while True:
            try:
                _, said = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                share = min(1.0, (time.monotonic() - begun) / (seconds + 5))
                report(span[0] + span[1] * share, f"Training with a {loader} loader")
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        raise JobError(f"The training ended with code {process.returncode}: {last[0][:200]}")


def main(folder: str, loader: str, seconds: float) -> None:
    """Train and record until the time is over."""
    import torch

    from lib.training.recorder import Recorder

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = _model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    told = {
        "model": f"GPT of {LAYERS} layers, width {WIDTH}", "loader": loader, "batch": BATCH,
        "tokens_per_step": BATCH * CONTEXT,
    }  # fmt: skip
    with Recorder(folder, interval=0.25, configuration=told) as recorder:
        for batch in recorder.steps(_batches(loader, seconds)):
            with recorder.phase("Forward"):
                logits = model(batch[:, :-1])
                loss = torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1), batch[:, 1:].flatten()
                )
            with recorder.phase("Backward"):
                optimizer.zero_grad()
                loss.backward()
            with recorder.phase("Optimizer"):
                optimizer.step()
    print(json.dumps({"loss": float(loss.detach())}))  # noqa: T201 - what the command answers


def _batches(loader: str, seconds: float) -> Iterator[Any]:
    """Yield batches of bytes that repeat with noise, each after as long as the loader takes."""
    import threading

    import torch

    end = time.monotonic() + seconds
    pattern = torch.arange(CONTEXT + 1).repeat(BATCH, 1)
    pause = threading.Event()
    while time.monotonic() < end:
        pause.wait(LOADERS[loader])
        noise = torch.randint(0, 7, pattern.shape)
        yield (pattern * 3 + noise) % 256


def _model() -> Any:
    import torch
    from torch import nn

    class Model(nn.Module):  # type: ignore[misc]  # torch is not typed here
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(256, WIDTH)
            self.places = nn.Embedding(CONTEXT, WIDTH)
            layer = nn.TransformerEncoderLayer(
                WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
            )
            self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
            self.out = nn.Linear(WIDTH, 256)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            length = tokens.shape[1]
            mask = nn.Transformer.generate_square_subsequent_mask(length)
            states = self.words(tokens) + self.places(torch.arange(length))
            found: torch.Tensor = self.out(self.layers(states, mask=mask, is_causal=True))
            return found

    return Model()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
