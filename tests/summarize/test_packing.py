"""Packing a model: what is in the archive, byte for byte, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.summarize import packing
from lib.summarize.packing import PackingError, check_archive, copy, model_files, pack, unpack

FILES = {
    "config.json": b'{"model_type": "bart"}',
    "model.safetensors": bytes(range(256)) * 4000,
    "tokenizer.json": b"{}",
    "code/inference.py": b"# ours",
}


def quiet(_: float) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "model", FILES)


def save(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def packed(folder: Path) -> bytes:
    sink = io.BytesIO()
    pack(folder, sink, quiet)
    return sink.getvalue()


def entries(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {entry.name: opened.extractfile(entry).read() for entry in opened}  # type: ignore[union-attr]  # regular files only


def test_all_files_are_at_the_root_with_hidden_ones_left_out(folder: Path) -> None:
    save(folder, {".git/config": b"x", ".DS_Store": b"x", "code/.cache": b"x"})
    assert entries(packed(folder)) == FILES


def test_the_same_files_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = packed(folder)
    other = save(tmp_path / "other", dict(reversed(FILES.items())))
    for path in other.rglob("*"):
        os.utime(path, (1, time.time() + 1000))
        path.chmod(0o700)
    assert packed(other) == first
    save(other, {"config.json": b"{}"})
    assert packed(other) != first


@given(st.dictionaries(st.sampled_from(["a", "b/c", "ü", "x" * 150]), st.binary(max_size=5000)))
def test_what_is_unpacked_is_what_was_packed(
    tmp_path_factory: pytest.TempPathFactory, extra: dict[str, bytes]
) -> None:
    folder = save(tmp_path_factory.mktemp("model"), FILES | extra)
    assert entries(packed(folder)) == FILES | extra


def test_progress_grows_to_one_and_may_stop_the_packing(folder: Path) -> None:
    heard: list[float] = []
    pack(folder, io.BytesIO(), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1)

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise InterruptedError

    sink = io.BytesIO()
    with pytest.raises(InterruptedError):
        pack(folder, sink, stop)


@pytest.mark.parametrize("name", ["weights.bin", "code/more"])
def test_links_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").mkdir()
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(PackingError, match=r"is a link .* save_pretrained"):
        model_files(folder)


def test_a_pipe_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(PackingError, match="no ordinary file"):
        model_files(folder)


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("config.json", r"lacks config\.json\. Save model"),
        ("model.safetensors", "lacks weights"),
        ("tokenizer.json", "lacks a tokenizer"),
    ],
)
def test_what_is_no_model_is_refused(folder: Path, gone: str, sentence: str) -> None:
    (folder / gone).unlink()
    with pytest.raises(PackingError, match=sentence):
        model_files(folder)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PackingError, match="There is no folder"):
        model_files(tmp_path / "nothing")


# ------------------------------------------------------------------------------------ archives


def archive(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as out:
        for entry, content in entries:
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry


def test_what_was_packed_is_accepted_and_copied_as_it_is(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(packed(folder))
    heard: list[float] = []
    check_archive(path, heard.append)
    assert heard == sorted(heard)
    assert 0 < heard[-1] <= 1
    sink = io.BytesIO()
    copy(path, sink, heard.append)
    assert sink.getvalue() == path.read_bytes()
    assert heard[-1] == 1


def test_a_leading_dot_is_the_root_as_well(tmp_path: Path) -> None:
    check_archive(archive(tmp_path / "m", (tarfile.TarInfo("./config.json"), b"{}")), quiet)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (tarfile.TarInfo("../config.json"), "leads out"),
        (tarfile.TarInfo("/etc/passwd"), "leads out"),
        (link("config.json", "/etc/passwd"), "is a link"),
        (tarfile.TarInfo("model/config.json"), "no config.json at its root"),
    ],
)
def test_archives_that_the_container_cannot_use_are_refused(
    tmp_path: Path, entry: tarfile.TarInfo, sentence: str
) -> None:
    with pytest.raises(PackingError, match=sentence):
        check_archive(archive(tmp_path / "m", (entry, b"")), quiet)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 1 << 20)
    bomb = archive(tmp_path / "m", (tarfile.TarInfo("config.json"), bytes(2 << 20)))
    with pytest.raises(PackingError, match="unpacks to more than"):
        check_archive(bomb, quiet)


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_half_an_archive_is_refused(folder: Path, tmp_path: Path, kept: float) -> None:
    content = packed(folder)
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PackingError, match="is no complete"):
        check_archive(path, quiet)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", gzip.compress(b"no tar" * 200)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)
    with pytest.raises(PackingError, match="is no complete"):
        check_archive(path, quiet)


def test_an_archive_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PackingError, match="There is no file"):
        check_archive(tmp_path / "nothing", quiet)


# ----------------------------------------------------------------------------------- unpacking


def everything(_: str) -> bool:
    return True


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_only_wanted_files_of_the_root_are_unpacked(
    folder: Path, target: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(packed(folder))
    heard: list[float] = []
    wanted = {"config.json", "model.safetensors", "code/inference.py"}
    names = unpack(path, target, wanted.__contains__, heard.append)
    assert names == set(FILES)
    there = {each.name: each.read_bytes() for each in target.iterdir()}
    assert there == {name: FILES[name] for name in ("config.json", "model.safetensors")}
    assert heard
    assert max(heard) <= 1


def device(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.CHRTYPE
    return entry


def hard_link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.LNKTYPE, target
    return entry


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (tarfile.TarInfo("../config.json"), "leads out"),
        (tarfile.TarInfo("a/../../config.json"), "leads out"),
        (tarfile.TarInfo("/etc/passwd"), "leads out"),
        (link("config.json", "/etc/passwd"), "is a link"),
        (hard_link("config.json", "../secret"), "is a link"),
        (device("config.json"), "no ordinary file"),
    ],
)
def test_what_could_lead_out_is_refused_and_nothing_written(
    target: Path, tmp_path: Path, entry: tarfile.TarInfo, sentence: str
) -> None:
    with pytest.raises(PackingError, match=sentence):
        unpack(archive(tmp_path / "m", (entry, b"")), target, everything, quiet)
    assert list(target.iterdir()) == []
    assert {each.name for each in tmp_path.iterdir()} == {"m", "target"}


def test_a_bomb_by_ratio_is_refused(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "RATIO_FREE_BYTES", 1 << 20)
    bomb = archive(tmp_path / "m", (tarfile.TarInfo("model.safetensors"), bytes(8 << 20)))
    with pytest.raises(PackingError, match="far more than a model of its size"):
        unpack(bomb, target, everything, quiet)
    assert sum(each.stat().st_size for each in target.iterdir()) < 2 << 20


def test_a_bomb_by_size_and_one_by_number_are_refused(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_UNPACKED_BYTES", 1 << 20)
    monkeypatch.setattr(packing, "MOST_FILES", 20)
    large = archive(tmp_path / "m", (tarfile.TarInfo("a"), bytes(2 << 20)))
    with pytest.raises(PackingError, match="unpacks to more than"):
        unpack(large, target, everything, quiet)
    many = archive(tmp_path / "n", *((tarfile.TarInfo("same"), b"") for _ in range(21)))
    with pytest.raises(PackingError, match="unpacks to more than"):
        unpack(many, target, lambda _: False, quiet)


def test_a_bomb_in_a_name_is_refused(target: Path, tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x" * (8 << 20))
    with pytest.raises(PackingError, match="far more than a model of its size"):
        unpack(archive(tmp_path / "m", (entry, b"")), target, everything, quiet)


def test_a_file_that_comes_twice_is_refused(target: Path, tmp_path: Path) -> None:
    twice = archive(tmp_path / "m", *((tarfile.TarInfo("config.json"), b"{}") for _ in range(2)))
    with pytest.raises(PackingError, match=r"has config\.json twice"):
        unpack(twice, target, everything, quiet)


def test_the_header_of_a_sparse_file_without_a_map_is_refused(target: Path, tmp_path: Path) -> None:
    entry = tarfile.TarInfo("config.json")
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"}
    hostile = archive(tmp_path / "sparse.tar.gz", (entry, b"{}"))
    with pytest.raises(PackingError, match="no complete"):
        unpack(hostile, target, everything, quiet)
    with pytest.raises(PackingError, match="no complete"):
        check_archive(hostile, quiet)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_half_an_archive_is_not_unpacked_for_a_whole(
    folder: Path, target: Path, tmp_path: Path, kept: float
) -> None:
    content = packed(folder)
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PackingError, match="is no complete"):
        unpack(path, target, everything, quiet)
