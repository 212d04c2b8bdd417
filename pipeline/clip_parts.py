"""What decides a clip, part by part: a clip's id is their hash, and a clip changed because one of them did."""

from typing import Any

from flowreel.schemas.clip import Donor
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.shards import Look
from flowreel.schemas.spec import Spec
from flowreel.schemas.variants import GENERATE, Variant

# The reasons that people are told, by the parts that they are made of. What is not named here is a setting.
REASON_OF = {
    **dict.fromkeys(("style", "style_uri", "light", "edits", "donors", "seed"), "variant"),
    **dict.fromkeys(("label_space", "remap"), "label space"),
    "generator": "weights",
}
SETTINGS = "settings"


def variant_parts(
    variant: Variant, look: Look, spec: Spec, space: LabelSpace, settings: RenderSettings
) -> dict[str, Any]:
    """The parts of identity that all clips of a variant share."""
    exemplar, drawn = look.exemplar, spec.source.pose or spec.source.face
    points = {"points": drawn.model_dump(mode="json")} if drawn else {}
    parts = points | {
        "style": exemplar.digest if exemplar else GENERATE,
        "style_uri": variant.style,
        "edits": [edit.model_dump(mode="json") for edit in variant.edits],
        "seed": spec.seed_of(variant),
        "label_space": space.digest,
        "remap": sorted((k, space.resolve(v)) for k, v in spec.source.remap.items()),
        "fps": spec.source.fps,
        "generator": settings.generator,
        "size": settings.size,
        "precision": settings.precision,
        "lead_in": spec.clips.lead_in,
        "output": spec.output.model_dump(mode="json", exclude=_without_effect(spec)),
    }
    # What most variants do not have is no part of their ids.
    if variant.light:
        parts["light"] = variant.light.model_dump(mode="json")
    if look.donors:
        parts["donors"] = [_frames(donor) for donor in look.donors]
    return parts


def _frames(donor: Donor) -> list[Any]:
    return [(frame.label.digest, frame.instance and frame.instance.digest) for frame in donor.frames]


def by_reason(parts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Parts in groups: one per reason."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in parts.items():
        groups.setdefault(REASON_OF.get(name, SETTINGS), {})[name] = value
    return groups


def _without_effect(spec: Spec) -> set[str]:
    unused = {"image_quality"} if spec.output.image_codec == "png" else set()
    return unused if spec.output.depth else unused | {"depth"}
