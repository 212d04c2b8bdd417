"""Sets up the device that a worker renders on."""

import sys

import torch

SWITCH_S = 0.0005  # after which a thread in Python yields to another


def set_up_device(cpus: int, gpus: float) -> None:
    """Sets up this process. ``cpus``: compute threads. ``gpus``: below 1 the share of one GPU, and of its memory: an
    actor that needs more fails itself instead of those beside it."""
    use_threads(cpus)
    sys.setswitchinterval(SWITCH_S)  # lanes hold the interpreter only between kernels: the default, 5 ms, is long
    torch.backends.cudnn.benchmark = False  # algorithms chosen by measuring would change bytes
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if 0 < gpus < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)


def use_threads(count: int) -> None:
    """Sets the number of compute threads for work that begins from now on."""
    torch.set_num_threads(count)
