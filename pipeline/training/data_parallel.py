"""The processes that train together: which clips each takes, and the average of their gradients."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Worker:
    """One of ``count`` processes with the same networks; they meet at each step."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Tells whether it is the one that writes."""
        return self.rank == 0

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces gradients by their sum over all workers.

        Where a worker has none and another has, its own counts as 0; what none has a gradient of keeps none. It is done
        by hand, in one tensor per optimiser: a step has several backward passes over shared graphs, which
        DistributedDataParallel's bookkeeping of one forward and one backward pass does not fit.
        """
        if self.count == 1:
            return
        given = list(parameters)
        found = torch.tensor([float(p.grad is not None) for p in given], device=self.device)
        dist.all_reduce(found)
        for p, workers in zip(given, found.tolist(), strict=True):
            if workers and p.grad is None:
                p.grad = torch.zeros_like(p)
        gradients = [p.grad for p in given if p.grad is not None]
        if not gradients:
            return
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        parts: Iterable[Tensor] = flat.split([g.numel() for g in gradients])
        for g, part in zip(gradients, parts, strict=True):
            g.copy_(part.view_as(g))
