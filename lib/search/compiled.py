"""How loops are compiled: when their module is first imported, kept on disk, without the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba import types

_Loop = TypeVar("_Loop", bound=Callable[..., object])

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Int = int | np.int64


def _column(dtype: types.Type) -> types.Array:
    return types.Array(dtype, 1, "C", readonly=True)


RU8, RU32, RU64 = _column(types.uint8), _column(types.uint32), _column(types.uint64)
RI64 = _column(types.int64)
WU8, WU32, WU64 = types.uint8[::1], types.uint32[::1], types.uint64[::1]
WI64 = types.int64[::1]
INT, UINT, VOID = types.int64, types.uint64, types.void


def kernel(signature: object) -> Callable[[_Loop], _Loop]:
    """Return a decorator that compiles a loop for one signature."""
    compiled = numba.njit(signature, nogil=True, cache=True, boundscheck=False)
    return cast("Callable[[_Loop], _Loop]", compiled)


def inlined(function: _Loop) -> _Loop:
    """Return a function that is compiled as a part of each loop that calls it."""
    return cast("_Loop", numba.njit(function, nogil=True, boundscheck=False, inline="always"))
