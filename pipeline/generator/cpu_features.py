"""Features of this machine's processor."""

from pathlib import Path

_BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}  # as Linux calls them


def multiplies_bfloat16() -> bool:
    """Tells whether this CPU has instructions for bfloat16; without them it is slower than float32.

    LLVM knows, where it is installed (with numba); elsewhere Linux does, and other systems count as without.
    """
    try:
        from llvmlite import binding as llvm
    except ImportError:
        return bool(_BFLOAT16 & _linux_flags())
    features = llvm.get_host_cpu_features()
    return any(features.get(name, False) for name in ("amx-bf16", "avx512bf16", "bf16"))


def _linux_flags() -> set[str]:
    """Gives the flags of the first processor; empty where Linux does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    told = (line.partition(":") for line in lines)
    return next((set(flags.split()) for name, _, flags in told if name.strip() in ("flags", "Features")), set())
