"""Compiles the loops in this package (numba, LLVM): in parallel over rows, cached on disk."""

import ctypes
import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import torch
from llvmlite import binding as llvm

# The same OpenMP threads as PyTorch's, which would otherwise spin beside a second pool on the same cores.
os.environ.setdefault("NUMBA_THREADING_LAYER_PRIORITY", "omp tbb workqueue")
settings: Any = numba.config
settings.THREADING_LAYER_PRIORITY = os.environ["NUMBA_THREADING_LAYER_PRIORITY"].split()

# Fused multiply-add, and no care for the sign of zero. Never `nnan`: values that are not finite must be seen.
_FAST = {"contract", "nsz"}
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_KEPT = 2**30  # bytes

# By default LLVM gives up on vector instructions where a loop has more than 8 pairs of arrays that might overlap.
llvm.set_option("", "-runtime-memory-check-threshold=100")

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compiles a loop over rows (``numba.prange``) that all threads share, at its first call; then it is kept on
    disk."""
    return _compiled(function, parallel=True)


def helper(function: F) -> F:
    """Compiles a function that kernels call."""
    return _compiled(function, parallel=False)


def _compiled(function: F, parallel: bool) -> F:
    compile_: Any = numba.njit(parallel=parallel, cache=True, fastmath=_FAST, error_model="numpy")
    before, settings.CACHE_DIR = settings.CACHE_DIR, settings.CACHE_DIR or str(_cache())
    try:
        return cast(F, compile_(function))
    finally:
        settings.CACHE_DIR = before


@cache
def _cache() -> Path:
    """Gives a cache folder of this code's own: numba alone would not notice that a helper in another file has
    changed."""
    here = Path(__file__).parent
    sources = b"".join(file.read_bytes() for file in sorted(here.glob("*.py")))
    return here / "__pycache__" / f"kernels-{hashlib.sha256(sources).hexdigest()[:12]}"


def _has_openmp() -> bool:
    """Tells whether OpenMP is available: without it numba uses its own threads, which end the process when two
    callers want them at once."""
    try:
        import_module("numba.np.ufunc.omppool")
    except ImportError:
        return False
    return True


HAS_OPENMP = _has_openmp()


@cache
def _keep_freed_memory() -> None:
    """Asks glibc to keep freed maps: fetching fresh pages for each costs more than many of the sums."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
            libc.mallopt(_M_MMAP_MAX, 0)


def use_torch_threads() -> None:
    """Uses as many threads as PyTorch is set to use; called before each frame, as settings may change in between."""
    _keep_freed_memory()
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, settings.NUMBA_NUM_THREADS))
    torch.set_num_threads(threads)  # numba's first start resets the pool that both share


@helper
def reflect(i: int, size: int) -> int:
    """Gives the index that reflection padding reads at ``i``, which may lie outside 0..size-1."""
    if i < 0:
        i = -i
    if i >= size:
        i = 2 * size - 2 - i
    return max(i, 0)
