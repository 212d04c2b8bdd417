"""Settings of the device that a worker renders on."""

import sys

import torch

SWITCH_S = 0.0005  # after which a thread in Python makes way for another


def set_up_device(cpus: int, gpus: float) -> None:
    """``cpus``: threads to calculate with. ``gpus``: below 1 the share of one GPU, and of its memory: an actor that
    wants more fails itself instead of those beside it."""
    use_threads(cpus)
    sys.setswitchinterval(SWITCH_S)  # lanes are in Python between kernels only: 5 ms, which is the default, is long
    torch.backends.cudnn.benchmark = False  # algorithms picked by stopwatch would change bytes
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)


def use_threads(count: int) -> None:
    """How many threads those calculate with that begin to from now on."""
    torch.set_num_threads(count)
