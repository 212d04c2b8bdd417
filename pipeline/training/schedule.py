"""The schedule: what an epoch trains, with what and how fast. Pure functions of the spec (vid2vid-spec, sections
10.2, 10.6)."""

from dataclasses import dataclass
from math import ceil

from flowreel.schemas.training import ScheduleSpec, TrainSpec

LONGEST_CLIP = 128  # frames, context included: the original's bound


@dataclass(frozen=True)
class Stage:
    """One epoch's settings."""

    lr_generator: float
    lr_image: float  # of the image discriminators; the temporal ones keep the rate they began with
    clip_frames: int  # most new frames of a clip
    load_frames: int  # new frames per optimisation step
    backprop_frames: int  # frames that gradients flow back within a load
    finest_only: bool  # only the finest scale learns
    adversarial: float  # share of the adversarial terms' weight, 0 to 1


def stage(epoch: int, spec: TrainSpec, longest: int) -> Stage:
    """Gives the settings of an epoch, counted from 1. ``longest``: frames of the longest sequence."""
    schedule, optimiser = spec.schedule, spec.optimiser
    decay = _decay(epoch, schedule)
    ttur = optimiser.ttur and decay == 1  # the original forgets these factors when it first lowers the rate
    return Stage(
        lr_generator=optimiser.lr * decay * (0.5 if ttur else 1),
        lr_image=optimiser.lr * decay * (2 if ttur else 1),
        clip_frames=_clip_frames(epoch, spec, longest),
        load_frames=schedule.load_frames,
        backprop_frames=_backprop_frames(epoch, schedule),
        finest_only=epoch <= schedule.finest_only and spec.generator.n_scales > 1,
        adversarial=_ramp(epoch, *spec.losses.adversarial_ramp),
    )


def last_epoch(schedule: ScheduleSpec) -> int:
    """Gives the number of the last epoch."""
    return schedule.epochs + schedule.decay_epochs


def _ratio(epoch: int, schedule: ScheduleSpec) -> int:
    """Counts how often clips have been doubled before this epoch."""
    return (epoch - 1) // schedule.double_every


def _decay(epoch: int, schedule: ScheduleSpec) -> float:
    """Gives the learning rate's factor. The rate is lowered at the end of an epoch, so the first decay epoch still
    has the full one."""
    over = epoch - 1 - schedule.epochs
    return 1.0 if over <= 0 else 1 - over / schedule.decay_epochs


def _clip_frames(epoch: int, spec: TrainSpec, longest: int) -> int:
    ratio, first = _ratio(epoch, spec.schedule), spec.schedule.clip_frames
    bound = min(LONGEST_CLIP, longest) - (spec.generator.n_frames - 1)
    return first if ratio == 0 else max(first, min(bound, first * 2**ratio))


def _backprop_frames(epoch: int, schedule: ScheduleSpec) -> int:
    ratio, size = _ratio(epoch, schedule), schedule.load_frames
    target = min(schedule.backprop_frames, 2**ratio)
    return 1 if ratio == 0 else max(1, size // ceil(size / target))


def _ramp(epoch: int, begin: int, end: int) -> float:
    """Rises from 0 until epoch ``begin`` to 1 from epoch ``end`` on."""
    return 1.0 if epoch >= end else max(0.0, (epoch - begin) / (end - begin))
