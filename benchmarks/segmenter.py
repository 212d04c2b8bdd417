"""Trains the segmenter that label agreement is measured with, on real frames and their labels.

    python -m benchmarks.segmenter DATA OUT --hold-out seq0004 --minutes 10

DATA holds SEQUENCE/labels/*.png and SEQUENCE/images/*.jpg, or is a spec with a `source`. OUT is a safetensors file; it
can also be the `losses.perceptual_weights` of a training run. Interrupted, the same command goes on from OUT.state.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.agreement import Agreement, agreement
from benchmarks.common import size
from benchmarks.real_video import RealData, RealVideo, open_data
from flowreel.pipeline.generator.conditioning import from_uint8
from flowreel.pipeline.quality.segmenter_network import IGNORED, Segmenter, SegmenterFacts, save_segmenter, targets
from flowreel.schemas.errors import FlowreelError, UsageError

BATCH, PEAK_RATE, DECAY = 4, 3e-3, 1e-4
ZOOM = 2  # frames are read this much larger than they are trained on: crops stay sharp
LEAST_SHARE = 0.45  # of a frame's sides that a crop shows
TOLD_EVERY_S, SAVED_EVERY_S = 15.0, 60.0
Tell = Callable[[str], None]
Frame = tuple[NDArray[np.uint8], NDArray[np.integer]]  # image (H, W, 3), label ids (H, W)


class SegmenterTraining:
    """Networks, optimiser and random numbers of a training that can be stopped and continued."""

    def __init__(self, facts: SegmenterFacts, file: Path | None = None, seed: int = 0) -> None:
        """``file``: where the state is kept, and read from if it is there."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.segmenter = Segmenter(facts)
        self.optimiser = torch.optim.AdamW(self.segmenter.parameters(), PEAK_RATE, weight_decay=DECAY)
        self.random = torch.Generator().manual_seed(seed)
        self.file, self.seconds, self.steps = file, 0.0, 0
        if file and file.exists():
            self._restore(torch.load(file, weights_only=True))

    def run(self, videos: Sequence[RealVideo], seconds: float, tell: Tell) -> Segmenter:
        """Trains for ``seconds``, all runs together. ``videos`` are ZOOM times as large.

        Seconds are of all threads at work: what else a machine does must not make a worse segmenter.
        """
        frames = [(v.image_THW3[t], v.label_THW[t]) for v in videos for t in range(len(v.image_THW3))]
        told = saved = 0.0
        while self.seconds < seconds:
            began = time.process_time()
            loss = self._step([frames], self.seconds / seconds)
            self.seconds += (time.process_time() - began) / torch.get_num_threads()
            if self.seconds - told > TOLD_EVERY_S:
                told = self.seconds
                tell(f"segmenter: {self.seconds:.0f} of {seconds:.0f} s, step {self.steps}, loss {loss:.3f}")
            if self.seconds - saved > SAVED_EVERY_S:
                saved = self.seconds
                self._save()
        self._save()
        return self.segmenter.eval().requires_grad_(False)

    def run_steps(self, pools: Sequence[Sequence[Frame]], steps: int) -> Segmenter:
        """Trains for so many steps; each batch takes as many frames from one pool as from another, if it can."""
        for step in range(steps):
            self._step(pools, step / steps)
        return self.segmenter.eval().requires_grad_(False)

    def _step(self, pools: Sequence[Sequence[Frame]], done: float) -> float:
        self.optimiser.param_groups[0]["lr"] = PEAK_RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        drawn = [pools[k % len(pools)] for k in range(BATCH)]
        chosen = [int(torch.randint(len(pool), (1,), generator=self.random)) for pool in drawn]
        facts = self.segmenter.facts
        pairs = [augmented(pool[i], facts.size, self.random) for pool, i in zip(drawn, chosen, strict=True)]
        image_B3HW = torch.stack([image for image, _ in pairs])
        wanted_BHW = targets(torch.stack([label for _, label in pairs]), facts.classes)
        loss = F.cross_entropy(self.segmenter.train()(image_B3HW), wanted_BHW, ignore_index=IGNORED)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.steps += 1
        return loss.item()

    def _save(self) -> None:
        if not self.file:
            return
        state = {"facts": self.segmenter.facts.model_dump_json(), "seconds": self.seconds, "steps": self.steps}
        state |= {"network": self.segmenter.state_dict(), "optimiser": self.optimiser.state_dict()}
        unfinished = self.file.with_name(self.file.name + ".tmp")
        torch.save(state | {"random": self.random.get_state()}, unfinished)
        unfinished.replace(self.file)

    def _restore(self, state: dict[str, Any]) -> None:
        if state["facts"] != self.segmenter.facts.model_dump_json():
            raise UsageError(
                f"{self.file} is the state of another training ({state['facts']}); this one is"
                f" {self.segmenter.facts.model_dump_json()}: remove the file, or name another OUT"
            )
        self.segmenter.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.random.set_state(state["random"])
        self.seconds, self.steps = state["seconds"], state["steps"]


def augmented(frame: Frame, size: tuple[int, int], random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random piece at ``size`` (width, height), perhaps mirrored, in other colours: (3, H, W) in [-1, 1], ids."""
    image_HW3, label_HW = frame
    height, width = label_HW.shape
    share, x, y, *colour = torch.rand(10, generator=random).tolist()
    share = min(1.0, LEAST_SHARE + share * 1.2 * (1 - LEAST_SHARE))  # every sixth is a whole frame
    h, w = round(height * share), round(width * share)
    top, left = round(y * (height - h)), round(x * (width - w))
    piece_3HW = torch.from_numpy(image_HW3[top : top + h, left : left + w]).movedim(-1, 0).float()
    ids_HW = torch.from_numpy(label_HW[top : top + h, left : left + w].astype(np.float32))
    shape = size[::-1]
    image = F.interpolate(piece_3HW[None], shape, mode="bilinear", align_corners=False, antialias=True)[0]
    label = F.interpolate(ids_HW[None, None], shape, mode="nearest-exact")[0, 0].long()
    if colour[0] < 0.5:
        image, label = image.flip(-1), label.flip(-1)
    return recoloured(from_uint8(image), torch.tensor(colour[1:])), label


def recoloured(image_3HW: Tensor, chance_6: Tensor) -> Tensor:
    """Gamma 0.7 to 1.4, contrast 0.75 to 1.25, brightness +-0.2, channels +-10 %, from six numbers in [0, 1]."""
    gamma = 0.7 * 2 ** float(chance_6[0])
    image_3HW = 2 * ((image_3HW + 1) / 2).clamp(0, 1) ** gamma - 1
    gain_311 = (0.75 + 0.5 * chance_6[1]) * (0.9 + 0.2 * chance_6[3:]).view(3, 1, 1)
    return (image_3HW * gain_311 + 0.4 * (chance_6[2] - 0.5)).clamp(-1, 1)


def train_segmenter(
    data: RealData, names: Sequence[str], size: tuple[int, int], seconds: float, tell: Tell, file: Path | None = None
) -> Segmenter:
    """A segmenter for frames of ``size`` (width, height), trained on the sequences ``names``."""
    if not names:
        raise UsageError(f"{data.uri}: no sequence is left to train a segmenter on; hold fewer out")
    videos = data.read(names, (ZOOM * size[0], ZOOM * size[1]))
    ignored = {c.id for c in data.space.classes if c.ignore}
    present = {int(i) for v in videos for i in np.unique(v.label_THW)} - ignored
    if not present:
        raise UsageError(f"{data.uri}: the labels of {', '.join(names)} show only classes that are ignored")
    facts = SegmenterFacts(
        label_space=data.space.name, classes=tuple(sorted(present)), size=size, sequences=tuple(names)
    )
    return SegmenterTraining(facts, file).run(videos, seconds, tell)


def described(name: str, found: Agreement, data: RealData) -> str:
    by_class = ", ".join(f"{data.space.by_id[k].name} {iou:.0%}" for k, iou in found.iou.items())
    return f"{name}: pixel accuracy {found.accuracy:.1%}, mIoU {found.mean_iou:.1%} ({by_class})"


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--hold-out", nargs="*", default=[], metavar="NAME", help="sequences that it is measured on")
    parser.add_argument("--minutes", type=float, default=10, help="of all threads at work, all runs together (10)")
    parser.add_argument("--size", type=size, default=(256, 128), metavar="WxH", help="of its frames (256x128)")
    parser.add_argument("--label-space", default="cityscapes", help="of a folder; specs name their own (cityscapes)")
    args = parser.parse_args(given)
    try:
        data = open_data(args.data, args.label_space)
        held_out = data.read(args.hold_out, args.size)
        names = [name for name in data.names if name not in args.hold_out]
        args.out.parent.mkdir(parents=True, exist_ok=True)
        state = args.out.with_name(args.out.name + ".state")
        tell = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
        segmenter = train_segmenter(data, names, args.size, args.minutes * 60, tell, state)
        args.out.write_bytes(save_segmenter(segmenter))
        for video in held_out:
            print(described(video.name, agreement(segmenter, video.image_THW3, video.label_THW), data))
    except FlowreelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
