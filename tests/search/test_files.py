from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lib.search.files import ALIGNMENT, ArrayFile, IndexDamaged, open_arrays, verify_arrays

NUMBERS = np.arange(100_000, dtype=np.uint32)


def test_arrays_filled_in_turns_come_back(tmp_path: Path) -> None:
    path = tmp_path / "arrays"
    with ArrayFile(path) as file:
        file.write("first", NUMBERS[:7])
        file.reserve("one", np.uint32, len(NUMBERS))
        file.reserve("other", np.uint64, len(NUMBERS))
        for start in range(0, len(NUMBERS), 30_000):
            file.append("one", NUMBERS[start : start + 30_000])
            file.append("other", NUMBERS[start : start + 30_000].astype(np.uint64) << np.uint64(3))
        file.write("none", NUMBERS[:0])
        size = file.close()
    verify_arrays(path, size)
    arrays = open_arrays(path, size)
    assert list(arrays) == ["first", "one", "other", "none"]
    for _ in range(2):
        assert np.array_equal(arrays["one"], NUMBERS)
        assert np.array_equal(arrays["other"], NUMBERS.astype(np.uint64) * 8)
        assert all(array.ctypes.data % ALIGNMENT == 0 for array in arrays.values() if len(array))
        arrays.release()


def test_an_array_that_was_not_filled_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "arrays"
    file = ArrayFile(path)
    file.reserve("numbers", np.uint32, 2)
    file.append("numbers", NUMBERS[:1])
    with pytest.raises(ValueError, match="numbers"), file:
        file.close()
    assert not path.exists()


def test_a_file_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arrays"
    with ArrayFile(path) as file:
        file.write("numbers", NUMBERS)
        size = file.close()
    with pytest.raises(IndexDamaged, match="instead of"):
        open_arrays(path, size - 1)
