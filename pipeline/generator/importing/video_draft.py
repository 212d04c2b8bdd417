"""Drafts a video generator's configuration from its files, options and generator of first frames."""

from collections.abc import Sequence

from pydantic import ValidationError

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.importing.compare import Part
from flowreel.pipeline.generator.importing.draft import Draft, impossible
from flowreel.pipeline.generator.importing.files import LATEST, Folder, SourceFile, sibling, single_folder
from flowreel.pipeline.generator.importing.imported_single import read_converted
from flowreel.pipeline.generator.importing.open_files import Opened
from flowreel.pipeline.generator.importing.options import Claims, Options
from flowreel.pipeline.generator.importing.reconcile import Channels, channels, check_claims, foreground_labels
from flowreel.pipeline.generator.importing.single import Single, choose, read_single
from flowreel.pipeline.generator.importing.video_weights import VideoFacts, video_facts
from flowreel.schemas.errors import CheckpointError

_PICTURE_SINGLES = {15: "edge2face_single"}  # channels of a picture -> folder of its generator of first frames


def draft_video(folder: Folder, epoch: str, single: str | None, claims: Claims, opened: Opened) -> Draft:
    """Drafts the configuration. ``single``: where first frames come from, as in `run.Request`. Raises
    CheckpointError."""
    files, notes = _scales(folder.scales(epoch), epoch, claims)
    weights = [opened.weights(file) for file in files]
    facts = video_facts(weights)
    from_weights = {
        name: getattr(facts, name) for name in ("ngf", "n_downsample", "n_blocks", "n_blocks_local", "n_frames")
    }
    check_claims(from_weights | {"flow": facts.flow, "foreground": facts.foreground}, claims, folder.store.uri)
    where = f"{files[0].name}: {facts.frame_channels * facts.n_frames} channels for {facts.n_frames} frames"
    content = channels(facts.frame_channels, claims, where)
    fg_labels, fg_assumed = foreground_labels(facts.foreground, claims, content.label_nc)
    first, missing = _first_frames(folder, epoch, single, claims, content, opened)
    parts = [Part(f"G{scale}", w) for scale, w in enumerate(weights)]
    return Draft(
        _config(facts, content, fg_labels, first, claims),
        (*parts, *(first.parts if first else ())),
        first.tables if first else {},
        (*content.assumed, *fg_assumed, *(first.assumed if first else ())),
        (*notes, *missing, *(first.notes if first else ())),
    )


def _scales(files: Sequence[SourceFile], epoch: str, claims: Claims) -> tuple[Sequence[SourceFile], tuple[str, ...]]:
    """Gives as many files as there are scales. A flag may take fewer than there are files, nothing else may."""
    claim = claims.claim("n_scales")
    count = len(files)
    if claim is None or claim.value == count:
        return files, ()
    if claim.value > count:
        raise CheckpointError(
            f"{files[0].store.uri}: {epoch}_net_G{count}.pth is missing: {claim.origin} says n_scales {claim.value},"
            f" there are files of {count}"
        )
    if claim.origin != "--n-scales":
        raise CheckpointError(
            f"{files[0].store.uri}: {count} scales by the files ({files[0].name} to {files[-1].name}), n_scales"
            f" {claim.value} by {claim.origin}; say which are wanted: --n-scales {count} or --n-scales {claim.value}"
        )
    return files[: claim.value], tuple(f"{file.name} is left out (--n-scales)" for file in files[claim.value :])


def _first_frames(
    folder: Folder, epoch: str, single: str | None, claims: Claims, content: Channels, opened: Opened
) -> tuple[Single | None, tuple[str, ...]]:
    """Gives the generator of first frames, or none and why."""
    if single == "" or (single is None and claims.value("first_frames") is False):
        return None, ()
    place, file, epoch = _place(folder, epoch, single, claims, content)
    if place is None:
        return None, ("no generator of first frames was found: clips start from nothing, or an exemplar (--single)",)
    own = Claims(Options(origin="flags", feat_num=claims.flags.feat_num))  # other claims are about the video generator
    found = read_single(place, file, own, opened, epoch) if file else read_converted(place, opened)
    if found.config.feat_num and not found.config.feature_rows:
        raise CheckpointError(
            f"{found.config.kind} generator of first frames in {place.store.uri}: it takes features, so it needs"
            f" {LATEST}_net_E.pth and features.npy beside it; add them, or say --no-single"
        )
    return found, ()


def _place(
    folder: Folder, epoch: str, single: str | None, claims: Claims, content: Channels
) -> tuple[Folder | None, SourceFile | None, str]:
    """Gives folder, file (none: a checkpoint directory) and epoch of the generator of first frames."""
    load_size = claims.value("load_size")
    if single:
        place, named = single_folder(single)
        file = named or choose(place, LATEST, load_size)
        if file is None and not place.converted:
            raise CheckpointError(f"--single {single}: {place.nothing(LATEST)}")
        return place, file, LATEST
    if file := choose(folder, epoch, load_size):
        return folder, file, epoch
    official = "label2city_single" if content.label_nc else _PICTURE_SINGLES.get(content.input_nc)
    beside = sibling(folder.store, official) if official else None
    file = choose(beside, LATEST, load_size) if beside else None
    return (beside, file, LATEST) if file else (None, None, LATEST)


def _config(
    facts: VideoFacts, content: Channels, fg_labels: tuple[int, ...], first: Single | None, claims: Claims
) -> GeneratorConfig:
    try:
        return GeneratorConfig(
            label_space=content.label_space,
            label_nc=content.label_nc,
            input_nc=content.input_nc,
            use_instance=content.use_instance,
            fg_labels=fg_labels,
            ngf=facts.ngf,
            n_downsample=facts.n_downsample,
            n_blocks=facts.n_blocks,
            n_blocks_local=facts.n_blocks_local or 3,  # the default: there is no finer scale
            n_frames=facts.n_frames,
            n_scales=len(facts.files),
            flow=facts.flow,
            single=first.config if first else None,
            size=claims.value("size"),
        )
    except ValidationError as error:
        hint = "leave the generator of first frames out with --no-single, or name another: --single" if first else ""
        raise impossible(" and ".join(facts.files), error, hint) from None
