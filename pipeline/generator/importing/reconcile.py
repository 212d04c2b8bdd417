"""Reconciles weights and claims to a configuration. A contradiction is an error, a guess is noted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowreel.pipeline.generator.importing.options import Claims, flag_of, shown
from flowreel.schemas.errors import CheckpointError

_PICTURES = {3: "pose", 6: "pose", 15: "face"}  # channels of an encoded frame -> what the official ones of it show
_LABELS = {35: "cityscapes"}  # label channels -> label space


@dataclass(frozen=True)
class Channels:
    """The channels of a frame. ``assumed``: what no claim says, each with the flag that changes it."""

    label_space: str
    label_nc: int
    input_nc: int
    use_instance: bool
    assumed: tuple[str, ...] = ()


def check_claims(from_weights: Mapping[str, Any], claims: Claims, where: str) -> None:
    """Raises CheckpointError where claims differ from what the weights (in ``where``) show, listing all."""
    lines = []
    for name, value in from_weights.items():
        claim = claims.claim(name)
        if claim is not None and value is not None and claim.value != value:
            lines.append(f"  {name}: {shown(value)} by the weights, {shown(claim.value)} by {claim.origin}")
    if lines:
        raise CheckpointError(
            "\n".join([f"{where}: the weights are not of the configuration that was named", *lines])
            + "\n  correct or leave out those claims; or these are the files of another checkpoint"
        )


def channels(total: int, claims: Claims, where: str) -> Channels:
    """Splits the channels of a frame into labels or picture, and edges. ``where``: which weight shows ``total``."""
    labels, inputs, edge = (claims.claim(name) for name in ("label_nc", "input_nc", "use_instance"))
    if labels is None and inputs is None and edge is None:
        return _guess(total, claims)
    pictures = labels.value == 0 if labels else inputs is not None
    content = inputs if pictures else labels
    count = content.value if content else total - int(bool(edge and edge.value))
    instance = bool(edge.value) if edge else total == count + 1
    if count + int(instance) != total:
        named = [("input_nc" if pictures else "label_nc", content), ("use_instance", edge)]
        by = " and ".join(f"{name} {claim.value} ({claim.origin})" for name, claim in named if claim)
        raise CheckpointError(
            f"{total} channels per frame by the weights ({where}), {count + int(instance)} by {by}; a frame has"
            f" {flag_of('label_nc')} or {flag_of('input_nc')} channels, and one more with --use-instance"
        )
    if pictures:
        return Channels(claims.value("label_space", _PICTURES.get(count, "picture")), 0, count, instance)
    space = claims.value("label_space", _LABELS.get(count))
    if space is None:
        raise CheckpointError(
            f"{count} labels are of no built-in label space: name yours with --label-space NAME (the name in its"
            " label-space file)"
        )
    noted = () if claims.claim("label_space") else (f"label space {space} for {count} labels (else --label-space)",)
    return Channels(space, count, 3, instance, noted)


def foreground_labels(present: bool, claims: Claims, labels: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Gives the labels that the foreground branch draws, and what was assumed. Weights only show whether there is a
    branch."""
    if not present:
        return (), ()
    claim = claims.claim("fg_labels")
    if claim is not None and claim.value:
        return claim.value, ()
    if labels != 35:
        raise CheckpointError(
            f"the weights have a foreground branch, and nothing says for which of the {labels} labels: say"
            f" {flag_of('fg_labels')}, for example {flag_of('fg_labels')} 26"
        )
    return (26,), ("foreground label 26, car, as in the official checkpoints (--fg-labels)",)


def _guess(total: int, claims: Claims) -> Channels:
    """Guesses the official configuration with so many channels."""
    if total in (35, 36):
        note = f"{total} channels per frame are the 35 Cityscapes labels, " + (
            "and instance edges (else --label-nc 36 --no-instance)" if total == 36 else "no edges (--label-nc)"
        )
        return Channels(claims.value("label_space", "cityscapes"), 35, 3, total == 36, (note,))
    if total in _PICTURES:
        note = f"{total} channels per frame are {_PICTURES[total]} pictures, not labels (else --label-nc {total})"
        return Channels(claims.value("label_space", _PICTURES[total]), 0, total, False, (note,))
    raise CheckpointError(
        f"{total} channels per frame can be labels or pictures, with edges or without, and nothing says which: say"
        f" --label-nc {total - 1} --use-instance, or --label-nc {total}, or --input-nc {total} for pictures"
    )
