"""Encodes rendered frames and published maps as rows of a data file and of the manifest."""

from typing import Any

import numpy as np

from flowreel.pipeline.codec import ENDING, encode_flow, encode_ids, encode_image
from flowreel.pipeline.dataset.data_file import EncodedClip
from flowreel.pipeline.edits.instances import count_instances
from flowreel.pipeline.generator.clip_data import ClipFrames
from flowreel.pipeline.quality.measure import Columns
from flowreel.pipeline.render.clip_lineage import clip_sources
from flowreel.pipeline.render.fetch import ClipMaps
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.clip import Clip
from flowreel.schemas.edit import applied_in, frame_stride


def encode_clip(clip: Clip, maps: ClipMaps, frames: ClipFrames, quality: Columns, job: RenderJob) -> EncodedClip:
    """Encodes every published frame of a clip. ``quality``: the measures per frame."""
    rows, manifest = [], []
    for i in range(len(frames.image_THW3)):
        keys = _keys(clip, frames.first + i, i, job)
        rows.append(keys | _media(clip.clip_id, i, maps, frames, job))
        measured = {name: values[i] for name, values in quality.items()}
        manifest.append(keys | _facts(clip, i, maps, frames, job) | measured)
    return EncodedClip(clip.clip_id, rows, manifest, clip_sources(clip, job))


def _keys(clip: Clip, label_frame: int, index: int, job: RenderJob) -> dict[str, Any]:
    """Gives the columns that data files and the manifest share."""
    return {
        "clip_id": clip.clip_id,
        "sequence_id": clip.sequence_id,
        "variant": clip.variant,
        "frame_index": index,
        "split": clip.split,
        "timestamp_s": (clip.start + label_frame * frame_stride(job.spec.variants[clip.variant].edits))
        / job.spec.source.fps,
    }


def _media(clip_id: str, i: int, maps: ClipMaps, frames: ClipFrames, job: RenderJob) -> dict[str, Any]:
    """Encodes the media of one frame."""
    output, t = job.spec.output, frames.first + i
    name = f"{clip_id}_{i:06d}"
    image = encode_image(frames.image_THW3[i], output.image_codec, output.image_quality)
    media: dict[str, Any] = {
        "image": {"bytes": image, "path": name + ENDING[output.image_codec]},
        "label": {"bytes": encode_ids(maps.label_THW[t]), "path": name + "_label.png"},
        "instance": None,
        "flow": None,
    }
    if output.instances and maps.instance_THW is not None:
        media["instance"] = {"bytes": encode_ids(maps.instance_THW[t]), "path": name + "_instance.png"}
    if (flow := _flow(i, maps, frames, job)) is not None:
        media["flow"] = {"bytes": flow, "path": name + "_flow.png"}
    if maps.keypoints is not None:
        media["keypoints"] = maps.keypoints[t]
    if output.depth:
        depth = None if maps.truth is None else encode_ids(maps.truth.depth_THW[t])
        media["depth"] = depth and {"bytes": depth, "path": name + "_depth.png"}
    return media


def _flow(i: int, maps: ClipMaps, frames: ClipFrames, job: RenderJob) -> bytes | None:
    """Encodes the known motion if there is any, else the generator's flow; None for a clip's first frame."""
    if i == 0 or not job.spec.output.flow:
        return None
    if maps.truth is not None:
        t = frames.first + i
        return encode_flow(maps.truth.flow_THW2[t], maps.truth.sure_THW[t])
    return None if frames.flow_THW2 is None else encode_flow(frames.flow_THW2[i])


def _people(maps: ClipMaps, t: int) -> int:
    """Counts the people in sight by keypoints."""
    return 0 if maps.keypoints is None else len(maps.keypoints[t])


def _facts(clip: Clip, i: int, maps: ClipMaps, frames: ClipFrames, job: RenderJob) -> dict[str, Any]:
    """Gives the columns that only the manifest has."""
    t, variant = frames.first + i, job.spec.variants[clip.variant]
    counts = np.bincount(maps.label_THW[t].ravel())
    present = np.flatnonzero(counts)
    instances = None if maps.instance_THW is None else maps.instance_THW[t]
    return {
        "style": variant.appearance,
        "edits": [str(edit) for edit in applied_in(variant.edits, clip.sequence_id)],
        "source_frame": clip.frames[t].label.path,
        "width": job.settings.size[0],
        "height": job.settings.size[1],
        "label_space": job.space.name,
        "class_ids": present.tolist(),
        "class_pixels": counts[present].tolist(),
        "num_instances": count_instances(maps.label_THW[t], instances, job.space) or _people(maps, t),
        "generator": job.settings.generator,
    }
