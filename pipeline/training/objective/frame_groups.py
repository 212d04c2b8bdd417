"""Groups of frames as temporal discriminators see them: n_D images, then the n_D - 1 reference flows between them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowreel.pipeline.training.data.training_clip import TrainingClip
from flowreel.pipeline.training.objective.temporal_groups import Group

FLOW_UNIT = 20.0  # pixels of flow that count as 1

# Flow from current to previous real frames, (B, 3, H, W) each: (B, 2, H, W) pixels, and its confidence (B, 1, H, W).
FlowBetween = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Sequences:
    """A clip's real and generated frames by the numbers that ``temporal_groups`` gives them."""

    clip: TrainingClip
    first: int  # index in the clip of frame 0
    made: Mapping[int, Tensor]  # generated frames (3, H, W), the chunk's own with gradients

    def pair(self, groups: Sequence[Group], flow: FlowBetween | None) -> tuple[Tensor, Tensor]:
        """Stacks the groups of real and of generated frames, (G, 3 n_D + 2 (n_D - 1), H, W); both with real frames'
        flow.

        ``flow``: None takes each frame's flow from its neighbour, which is known.
        """
        index_GN = torch.tensor(groups, device=self.clip.real_T3HW.device) + self.first
        real_GN3HW = self.clip.real_T3HW[index_GN]
        if flow is None:
            flow_GN2HW = self.clip.flow_T2HW[index_GN[:, 1:]]
        else:
            flow_B2HW, _ = flow(real_GN3HW[:, 1:].flatten(0, 1), real_GN3HW[:, :-1].flatten(0, 1))
            flow_GN2HW = flow_B2HW.unflatten(0, (len(groups), -1))
        flow_GCHW = flow_GN2HW.flatten(1, 2) / FLOW_UNIT
        made_GCHW = torch.stack([torch.cat([self.made[number] for number in group]) for group in groups])
        return torch.cat((real_GN3HW.flatten(1, 2), flow_GCHW), dim=1), torch.cat((made_GCHW, flow_GCHW), dim=1)
