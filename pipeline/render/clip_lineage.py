"""Records what a clip was rendered from, on the worker that renders it."""

from importlib import metadata
from typing import Any

from flowreel.pipeline.identity import RENDER_FORMAT, SETTINGS, by_reason, digest, variant_parts
from flowreel.pipeline.render.job import RenderJob
from flowreel.schemas.clip import Clip, Donor
from flowreel.schemas.sequence import SourceFile
from flowreel.schemas.shards import VariantSettings


def clip_sources(clip: Clip, job: RenderJob) -> dict[str, Any]:
    """Gives a clip's row of ``flowreel.schemas.lineage.SOURCES``."""
    chosen = VariantSettings(clip.seed, clip.exemplar, clip.donors)
    shared = by_reason(variant_parts(job.spec.variants[clip.variant], chosen, job.spec, job.space, job.settings))
    instances = [f.instance and f.instance.digest for f in clip.frames]
    labels = [f.label for f in clip.frames] + [f.guide for f in clip.frames if f.guide]
    decide = job.checkpoint.config.use_instance or job.spec.output.instances
    return {
        "clip_id": clip.clip_id,
        "sequence_id": clip.sequence_id,
        "variant": clip.variant,
        "start": clip.start,
        "frames": len(clip.frames),
        "split": clip.split,
        "labels": digest([(f.path, f.digest) for f in labels]),
        "instances": digest(instances) if decide else None,
        "look": digest([clip.variant, shared["variant"]]),
        "label_space": digest(shared["label space"]),
        "weights": digest(shared["weights"]),
        "settings": digest(shared[SETTINGS]),
        "render_format": RENDER_FORMAT,
        "flowreel": metadata.version("flowreel"),
        "label_files": [_file(f) for f in labels],
        "instance_files": [f.instance and _file(f.instance) for f in clip.frames],
        "exemplar": {"path": clip.exemplar.uri, "sha256": clip.exemplar.digest} if clip.exemplar else None,
        "donors": [_donor(donor) for donor in clip.donors],
    }


def _donor(donor: Donor) -> dict[str, Any]:
    frames = [{"label": _file(f.label), "instance": f.instance and _file(f.instance)} for f in donor.frames]
    return {"sequence_id": donor.sequence_id, "frames": frames}


def _file(file: SourceFile) -> dict[str, str]:
    return {"path": file.path, "sha256": file.digest}
