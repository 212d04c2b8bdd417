"""Features of this machine's processor."""

from llvmlite import binding as llvm


def multiplies_bfloat16() -> bool:
    """Tells whether this CPU has instructions for bfloat16; without them it is slower than float32."""
    features = llvm.get_host_cpu_features()
    return any(features.get(name, False) for name in ("amx-bf16", "avx512bf16", "bf16"))
