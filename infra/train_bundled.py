"""Trains the small generator that ships as ``bundled``. Short on purpose: a real trainer is to come.

    python infra/train_bundled.py DATA OUT [--minutes 90]

DATA holds ``<sequence>/{labels,instances,images}`` (Cityscapes label ids). Walks each clip frame by frame on the
generator's own history, as vid2vid does, with L1 + least-squares GAN + feature matching, and flow from OpenCV DIS.
Resumes from OUT/training.pt; writes a checkpoint directory and a preview to OUT every few minutes.
"""

import argparse
import copy
import random
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.generator import rollout
from pipeline.generator.conditioning import encode, pool
from pipeline.generator.config import GeneratorConfig
from pipeline.generator.loading import save_checkpoint
from pipeline.generator.networks import VideoGenerator
from pipeline.generator.warp import warp

SIZE = (256, 128)
CONFIG = GeneratorConfig(
    ngf=24, n_downsample=3, n_blocks=4, n_scales=2, size=SIZE,
    description="Small demonstration generator: Cityscapes labels to street scenes, trained on five 30-frame clips.",
)  # fmt: skip


class PatchDiscriminator(nn.Module):
    """Conditional patch discriminator at one size; returns every layer's output (pix2pix)."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        w = [width, width * 2, width * 4, width * 8]
        self.layers = nn.ModuleList([nn.Sequential(nn.Conv2d(channels, w[0], 4, 2, 2), nn.LeakyReLU(0.2))])
        for i, stride in ((0, 2), (1, 2), (2, 1)):
            conv = nn.Conv2d(w[i], w[i + 1], 4, stride, 2)
            self.layers.append(nn.Sequential(conv, nn.BatchNorm2d(w[i + 1]), nn.LeakyReLU(0.2)))
        self.layers.append(nn.Conv2d(w[3], 1, 4, 1, 2))

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = [x]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return outputs[1:]


class Discriminators(nn.Module):
    def __init__(self, channels: int, members: int = 2) -> None:
        super().__init__()
        self.members = nn.ModuleList(PatchDiscriminator(channels) for _ in range(members))

    def forward(self, labels: Tensor, image: Tensor) -> list[list[Tensor]]:
        x, outputs = torch.cat((labels, image), dim=1), []
        for member in self.members:
            outputs.append(member(x))
            x = pool(x)
        return outputs


def gan(outputs: list[list[Tensor]], target: float) -> Tensor:
    return torch.stack([((o[-1] - target) ** 2).mean() for o in outputs]).sum()


def feature_matching(fake: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    return torch.stack(
        [
            (f - r.detach()).abs().mean() / len(a)
            for a, b in zip(fake, real, strict=True)
            for f, r in zip(a[:-1], b[:-1], strict=True)
        ]
    ).sum()


def read_frames(folder: Path, how: int, flag: int) -> np.ndarray:
    """All pictures of a folder in order of their names, resized to SIZE."""
    frames = [cv2.imread(str(file), flag) for file in sorted(folder.iterdir())]
    return np.stack([cv2.resize(frame, SIZE, interpolation=how) for frame in frames])


def load_clips(root: Path) -> list[dict[str, np.ndarray]]:
    """Per sequence: label and instance (T,H,W) uint8, image (T,H,W,3) uint8, flow (T,H,W,2) backward, pixels."""
    clips = []
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for folder in sorted(root.iterdir()):
        image = read_frames(folder / "images", cv2.INTER_AREA, cv2.IMREAD_COLOR)[..., ::-1]
        grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in image]
        flow = [dis.calc(grey[max(t, 1)], grey[max(t, 1) - 1], None) for t in range(len(grey))]
        labels = read_frames(folder / "labels", cv2.INTER_NEAREST, cv2.IMREAD_UNCHANGED)
        instances = read_frames(folder / "instances", cv2.INTER_NEAREST, cv2.IMREAD_UNCHANGED)
        clips.append({"label": labels, "instance": instances, "image": image.copy(), "flow": np.stack(flow)})
    return clips


def prepare(clip: dict[str, np.ndarray], start: int, stop: int, flip: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Encoded labels (T,L,H,W), images in [-1,1] (T,3,H,W), flows (T,2,H,W) of a piece of a clip."""
    cut = {k: torch.from_numpy(np.ascontiguousarray(v[start:stop])) for k, v in clip.items()}
    labels = encode(cut["label"], cut["instance"], CONFIG)
    images = cut["image"].movedim(-1, 1).float() / 127.5 - 1
    flows = cut["flow"].movedim(-1, 1)
    if flip:
        labels, images, flows = (
            labels.flip(-1),
            images.flip(-1),
            flows.flip(-1) * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1),
        )
    return labels, images, flows


def initialise(module: nn.Module) -> None:
    """N(0, 0.02) for convolutions, as in pix2pix."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)


class Trainer:
    def __init__(self, out: Path) -> None:
        torch.manual_seed(0)
        self.g, self.d = VideoGenerator(CONFIG), Discriminators(CONFIG.frame_channels + 3)
        for network in (self.g, self.d):
            network.apply(initialise).to(memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.g)
        self.opt_g = torch.optim.Adam(self.g.parameters(), 2e-4, betas=(0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.d.parameters(), 2e-4, betas=(0.5, 0.999))
        self.steps, self.seconds, self.file = 0, 0.0, out / "training.pt"
        if self.file.exists():
            saved = torch.load(self.file, weights_only=True)
            for name in ("g", "d", "ema", "opt_g", "opt_d"):
                getattr(self, name).load_state_dict(saved[name])
            self.steps, self.seconds = saved["steps"], saved["seconds"]

    def save(self, out: Path) -> None:
        state = {n: getattr(self, n).state_dict() for n in ("g", "d", "ema", "opt_g", "opt_d")}
        torch.save({**state, "steps": self.steps, "seconds": self.seconds}, self.file.with_suffix(".tmp"))
        self.file.with_suffix(".tmp").replace(self.file)
        save_checkpoint(out / "checkpoint", self.ema, dtype=torch.float16)

    def frame(self, state: rollout.RolloutState, window: Tensor, now: tuple[Tensor, Tensor, Tensor]) -> tuple:
        """One optimisation step on one frame; now = (real, previous real, flow). Returns the next state and losses."""
        real, before, flow = now
        fresh = state.raw_only
        state, out = rollout.step(self.g, state, window)
        labels = window[:, -1]
        d_real = self.d(labels, real)
        loss_l1 = F.l1_loss(out.image_B3HW, real) + F.l1_loss(out.raw_B3HW, real)
        loss_gan = loss_fm = torch.zeros(())
        images = [out.raw_B3HW] if fresh else [out.raw_B3HW, out.image_B3HW]
        for image in images:
            d_fake = self.d(labels, image)
            loss_gan = loss_gan + gan(d_fake, 1.0) / len(images)
            loss_fm = loss_fm + feature_matching(d_fake, d_real) / len(images)
        loss = 15 * loss_l1 + loss_gan + 10 * loss_fm
        if not fresh and out.flow_B2HW is not None:
            sure = ((warp(before, flow) - real).pow(2).sum(1, keepdim=True) < 0.05).float()
            loss = (
                loss
                + ((out.flow_B2HW - flow) * sure).abs().mean()
                + 10 * F.l1_loss(warp(before, out.flow_B2HW) * sure, real * sure)
            )
        self.opt_g.zero_grad()
        loss.backward()
        self.opt_g.step()
        self.opt_d.zero_grad()
        fake = out.image_B3HW.detach()
        loss_d = (gan(self.d(labels, fake), 0.0) + gan(self.d(labels, real), 1.0)) / 2
        loss_d.backward()
        self.opt_d.step()
        with torch.no_grad():
            keep = min(0.998, (1 + self.steps) / (10 + self.steps))
            for e, p in zip(self.ema.parameters(), self.g.parameters(), strict=True):
                e.lerp_(p, 1 - keep)
        history = tuple(h.detach() for h in state.history)
        return rollout.RolloutState(history, False), (loss_l1.item(), loss_gan.item(), loss_fm.item(), loss_d.item())

    def walk(self, clips: list[dict[str, np.ndarray]], rng: random.Random, frames: int) -> list[tuple[float, ...]]:
        """One pass over a random piece of a clip, on the generator's own history."""
        clip = rng.choice(clips)
        start = rng.randrange(len(clip["label"]) - frames)
        labels, images, flows = prepare(clip, start, start + frames, rng.random() < 0.5)
        before = CONFIG.n_frames - 1
        if rng.random() < 0.6:
            state = rollout.start_empty(CONFIG, 1, (SIZE[1], SIZE[0]), labels)
        else:
            state = rollout.start_from(CONFIG, images[None, :1].expand(-1, before, -1, -1, -1))
        log = []
        for t in range(frames):
            window = torch.stack([labels[max(0, t - before + k)] for k in range(before + 1)])[None]
            now = images[t][None], images[max(0, t - 1)][None], flows[t][None] * float(t > 0)
            state, losses = self.frame(state, window, now)
            log.append(losses)
            self.steps += 1
        return log


def preview(trainer: Trainer, clips: list[dict[str, np.ndarray]], file: Path) -> None:
    """Rows: real | own rollout from nothing at frames 0, 4, 12, of three clips."""
    rows = []
    for clip in clips[:3]:
        labels, images, _ = prepare(clip, 0, 13, False)
        state, shown = rollout.start_empty(CONFIG, 1, (SIZE[1], SIZE[0]), labels), []
        with torch.no_grad():
            for t in range(13):
                window = torch.stack([labels[max(0, t - 2 + k)] for k in range(3)])[None]
                state, out = rollout.step(trainer.ema, state, window)
                if t in (0, 4, 12):
                    shown.append(out.image_B3HW[0])
        rows.append(torch.cat([images[12], *shown], dim=-1))
    picture = ((torch.cat(rows, dim=-2) + 1) * 127.5).clamp(0, 255).byte().movedim(0, -1).numpy()
    cv2.imwrite(str(file), picture[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--minutes", type=float, default=90, help="stop after this much training time, all runs together"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    clips, trainer = load_clips(args.data), Trainer(args.out)
    rng, limit, saved = random.Random(trainer.steps), args.minutes * 60, time.monotonic()
    while trainer.seconds < limit:
        began = time.monotonic()
        done = trainer.seconds / limit
        for opt in (trainer.opt_g, trainer.opt_d):
            opt.param_groups[0]["lr"] = 2e-4 * min(1.0, 2 * (1 - done) + 0.02)
        log = trainer.walk(clips, rng, frames=4 if done < 0.3 else 8 if done < 0.7 else 14)
        trainer.seconds += time.monotonic() - began
        l1, g, fm, d = np.mean(log, axis=0)
        print(
            f"{trainer.seconds / 60:6.1f} min  step {trainer.steps}  l1 {l1:.3f}  gan {g:.3f}  fm {fm:.3f}  d {d:.3f}",
            flush=True,
        )
        if time.monotonic() - saved > 240 or trainer.seconds >= limit:
            trainer.save(args.out)
            preview(trainer, clips, args.out / "preview.png")
            saved = time.monotonic()


if __name__ == "__main__":
    main()
