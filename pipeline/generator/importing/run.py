"""Runs an import from beginning to end: list, read, reconcile, compare; only if everything is right, write."""

from contextlib import ExitStack
from dataclasses import dataclass

import torch

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.image_config import ImageCheckpointConfig
from flowreel.pipeline.generator.importing.compare import check_match
from flowreel.pipeline.generator.importing.draft import Draft
from flowreel.pipeline.generator.importing.files import LATEST, Folder, list_folder
from flowreel.pipeline.generator.importing.image_draft import draft_image
from flowreel.pipeline.generator.importing.open_files import Opened
from flowreel.pipeline.generator.importing.options import MAX_OPT_BYTES, OPT_FILE, Claims, Options, read_opt
from flowreel.pipeline.generator.importing.presets import preset
from flowreel.pipeline.generator.importing.video_draft import draft_video
from flowreel.pipeline.generator.importing.write import Written, check_free, check_numbers, write_checkpoint
from flowreel.pipeline.generator.loading import wanted_shapes
from flowreel.pipeline.storage import open_store


@dataclass(frozen=True)
class Request:
    """What to import, from where to where, and what is claimed about it."""

    source: str
    dest: str
    flags: Options
    preset: str = ""
    epoch: str = LATEST
    single: str | None = None  # folder or file of the generator of first frames; "": none; None: where it usually lies
    dtype: torch.dtype = torch.float32
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Network:
    """One network of an imported checkpoint."""

    label: str  # G0, G1, ..., S: first frames, E: encoder
    file: str
    parameters: int


@dataclass(frozen=True)
class Imported:
    """What was found, and where it was written."""

    source: str
    dest: str
    config: GeneratorConfig | ImageCheckpointConfig
    networks: tuple[Network, ...]
    said_by: tuple[str, ...]  # where options came from, besides flags
    assumed: tuple[str, ...]  # what no claim says and no weight shows, with the flag that changes it
    notes: tuple[str, ...]
    written: Written | None  # None: a dry run


def import_checkpoint(request: Request) -> Imported:
    """Imports a checkpoint. Raises CheckpointError for files that are damaged, incomplete, differ from the claims,
    or are not such networks."""
    dest = open_store(request.dest)
    check_free(dest, request.overwrite)
    folder = list_folder(open_store(request.source))
    claims = _claims(folder, request)
    with ExitStack() as stack:  # files stay open, or downloaded, until they are written
        opened = Opened(stack)
        draft_one = draft_video if folder.scales(request.epoch) else draft_image
        draft = draft_one(folder, request.epoch, request.single, claims, opened)
        _check(draft, request.dtype)
        config = draft.config.model_copy(update={"sources": dict(sorted(opened.digests.items()))})
        written = None if request.dry_run else write_checkpoint(dest, config, draft.tensors, request.dtype)
        return Imported(
            source=folder.store.uri,
            dest=dest.uri,
            config=config,
            networks=tuple(Network(p.label, p.weights.name, p.weights.parameters) for p in draft.parts),
            said_by=tuple(options.origin for options in claims.others),
            assumed=draft.assumed,
            notes=(*draft.notes, *(f"{name}: took `module.` (DataParallel) off its keys" for name in opened.unwrapped)),
            written=written,
        )


def _claims(folder: Folder, request: Request) -> Claims:
    others = [preset(request.preset)] if request.preset else []
    if opt := folder.files.get(OPT_FILE):
        others.append(read_opt(opt.read(MAX_OPT_BYTES), opt.url))
    return Claims(request.flags, others)


def _check(draft: Draft, dtype: torch.dtype) -> None:
    """Checks names and shapes first: only then is the amount of numbers known to be sane."""
    check_match(draft.parts, wanted_shapes(draft.config))
    for part in draft.parts:
        check_numbers(part.weights, dtype)
