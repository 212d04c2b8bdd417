"""Proves a version's lineage: renders clips again from their sources, and compares them with what is published."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from flowreel.pipeline.codec import decode_flow, decode_image
from flowreel.pipeline.dataset.row_group import read_row_group
from flowreel.pipeline.dataset.versions import LINEAGE_FILE, Version
from flowreel.pipeline.generator.checkpoint import checkpoint_store, read_checkpoint
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.engine import Engine, load_engine
from flowreel.pipeline.identity import RENDER_FORMAT
from flowreel.pipeline.maintenance.provenance import Origin, origins
from flowreel.pipeline.planning.from_dataset import open_origin
from flowreel.pipeline.render.encode import encode_clip
from flowreel.pipeline.render.fetch import fetch_clip
from flowreel.pipeline.render.job import RenderJob
from flowreel.pipeline.render.lighting import in_light
from flowreel.pipeline.sources.containers.members import load_members
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.sources.encodings import open_decoder
from flowreel.pipeline.sources.find import open_source
from flowreel.pipeline.sources.verified_read import SINCE
from flowreel.schemas.clip import Clip, Donor, Exemplar
from flowreel.schemas.errors import FlowreelError, IntegrityError, SourceError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import data_schema
from flowreel.schemas.sequence import Frame, SourceFile

ROUNDING_DB = 40.0  # PSNR: other processors and batches round differently; a wrong picture is below 30
_ROUNDED = ("image", "flow")  # may be rounded differently


@dataclass(frozen=True)
class Rerendered:
    """The result of rendering clips again."""

    same: int  # byte for byte
    rounded: int  # labels byte for byte, pictures but for rounding
    problems: tuple[str, ...]


def rerender(
    version: Version, count: int, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Rerendered:
    """Renders ``count`` clips of a version again, chosen by ``seed`` alone. Raises UsageError if it cannot."""
    chosen = pick(version, count, seed)
    job = open_job(version)
    engine = load_engine(job.checkpoint, job.settings)
    same, rounded, problems = 0, 0, list[str]()
    for done, origin in enumerate(origins(version, chosen), start=1):
        found = list(_differences(version, origin, job, engine))
        problems += (f"clip {origin.clip_id} ({_where(origin)}): {what}" for what, wrong in found if wrong)
        same += not found
        rounded += bool(found) and not any(wrong for _, wrong in found)
        if progress:
            progress(done, len(chosen))
    return Rerendered(same, rounded, tuple(problems))


def pick(version: Version, count: int, seed: int) -> list[str]:
    """Chooses clip ids: the same for the same version and seed, spread over all clips."""
    ids = version.table(LINEAGE_FILE, ["clip_id"])["clip_id"].to_pylist()
    return sorted(ids, key=lambda clip_id: hashlib.sha256(f"{seed} {clip_id}".encode()).digest())[:count]


def open_job(version: Version) -> RenderJob:
    """Opens the job that a version was rendered by. Raises UsageError if this release, machine or checkpoint
    differs."""
    record = version.record
    spec, settings, where = record.spec, record.settings, f"version {version.number} of {version.dataset.uri}"
    if record.render_format != RENDER_FORMAT:
        raise UsageError(
            f"{where} was rendered in format {record.render_format}, but this release renders format"
            f" {RENDER_FORMAT}; use flowreel {record.flowreel}"
        )
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"{where} was rendered on GPUs, and this machine has none that PyTorch can use; run it on one")
    checkpoint = read_checkpoint(checkpoint_store(spec.generator.checkpoint, {}))
    if checkpoint.digest != settings.generator:
        raise UsageError(
            f"{where} was rendered by generator {settings.generator}, but {checkpoint.store.uri} holds"
            f" {checkpoint.digest} now; put the old checkpoint back"
        )
    space = LabelSpace.model_validate(record.label_space)
    source = open_origin(spec, {}).store if spec.source.dataset else open_source(spec.source)
    if source and not spec.source.dataset:
        source = with_members(source, spec.source, partial(load_members, version.dataset))
    decoder = open_decoder(spec.source, space, {})
    if decoder.digest != settings.encoding:
        raise UsageError(f"{where} was rendered with other contents of the file that source.encoding names")
    return RenderJob(spec, space, settings, checkpoint, source, version.dataset, decoder=decoder)


def _differences(version: Version, origin: Origin, job: RenderJob, engine: Engine) -> Iterator[tuple[str, bool]]:
    """Yields what differs between a clip's rows and those rendered again, and whether that is wrong or rounding."""
    try:
        new = _rows(_clip(origin, job), job, engine)
    except SourceError as error:
        text = str(error).replace(SINCE, "since the clip was rendered")
        yield f"cannot be rendered again: {text}", True
        return
    except (FlowreelError, ValueError) as error:
        yield f"cannot be rendered again: {error}", True
        return
    old = read_row_group(version.dataset, origin.shard, origin.row_group)
    if len(old) != len(new):
        yield f"{len(new)} frames, but {len(old)} are published", True
        return
    if old.column_names != new.column_names:
        yield f"columns {new.column_names}, but {old.column_names} are published", True
        return
    for name in (name for name in old.column_names if name not in _ROUNDED):
        unlike = [
            t for t, (a, b) in enumerate(zip(old[name].to_pylist(), new[name].to_pylist(), strict=True)) if a != b
        ]
        if unlike:
            yield f"{name} differs at frame {unlike[0]}", True
    for name in _ROUNDED:
        yield from _pictures(name, old[name].to_pylist(), new[name].to_pylist())


def _pictures(name: str, old: list[Any], new: list[Any]) -> Iterator[tuple[str, bool]]:
    """Yields the first difference of images or flow, and whether it is wrong or rounding."""
    for t, (a, b) in enumerate(zip(old, new, strict=True)):
        if a == b:
            continue
        if a is None or b is None:
            yield f"{name} of frame {t}: {'published' if a else 'rendered again'} only", True
            return
        decode = decode_image if name == "image" else lambda data: decode_flow(data)[0]
        try:
            one, other = decode(a["bytes"]).astype(np.float64), decode(b["bytes"]).astype(np.float64)
        except ValueError as broken:
            yield f"{name} of frame {t} is damaged: {broken}", True
            return
        error = float(np.mean((one - other) ** 2)) if one.shape == other.shape else np.inf
        peak = 255.0 if name == "image" else 2.0 * max(1.0, float(np.abs(one).max()))
        psnr = 10 * np.log10(peak**2 / error) if error else np.inf
        if psnr < ROUNDING_DB:
            yield f"{name} of frame {t} differs: {psnr:.1f} dB; rounding alone leaves at least {ROUNDING_DB:g} dB", True
            return
        yield f"{name} of frame {t}: {psnr:.1f} dB", False


def _clip(origin: Origin, job: RenderJob) -> Clip:
    """Rebuilds a planned clip from its origin."""
    row = origin.sources
    labels, guides = row["label_files"][: row["frames"]], row["label_files"][row["frames"] :]
    files = zip(labels, row["instance_files"], guides or [None] * len(labels), strict=True)
    frames = tuple(_frame(*of_frame) for of_frame in files)
    donors = tuple(
        Donor(donor["sequence_id"], tuple(_frame(f["label"], f["instance"]) for f in donor["frames"]))
        for donor in row["donors"] or ()
    )
    exemplar = Exemplar(row["exemplar"]["path"], row["exemplar"]["sha256"]) if row["exemplar"] else None
    if row["variant"] >= len(job.spec.variants):
        raise IntegrityError(f"variant {row['variant']}: the spec of the version has {len(job.spec.variants)}")
    seed = job.spec.seed_of(job.spec.variants[row["variant"]])
    place = (row["clip_id"], row["sequence_id"], row["variant"], row["start"])
    return Clip(*place, frames, row["split"], seed, exemplar, donors)


def _frame(label: dict[str, str], instance: dict[str, str] | None, guide: dict[str, str] | None = None) -> Frame:
    name = label["path"].rpartition("/")[2]
    return Frame(name, SourceFile(label["path"], label["sha256"]), _file(instance), _file(guide))


def _file(file: dict[str, str] | None) -> SourceFile | None:
    return SourceFile(file["path"], file["sha256"]) if file else None


def _rows(clip: Clip, job: RenderJob, engine: Engine) -> pa.Table:
    """Renders and encodes a clip."""
    maps = fetch_clip(clip, job)
    options = RenderOptions(job.spec.clips.lead_in, job.spec.output.flow)
    (frames,) = render_clips(engine, [maps.conditioning], options)
    frames = in_light(frames, job.spec.variants[clip.variant])
    encoded = encode_clip(clip, maps, frames, {}, job)  # what is compared is in the rows, not in the manifest
    return pa.Table.from_pylist(encoded.rows, schema=data_schema(encoded.rows[0]))


def _where(origin: Origin) -> str:
    return f"sequence {origin.sources['sequence_id']} from frame {origin.sources['start']}"
