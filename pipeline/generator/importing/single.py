"""Finds and reads the single-image generator of an import, with its encoder and feature tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from flowreel.pipeline.generator.image_config import EncoderConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.importing.compare import Part
from flowreel.pipeline.generator.importing.files import LATEST, Folder, SourceFile
from flowreel.pipeline.generator.importing.image_weights import ImageFacts, encoder_facts, image_facts
from flowreel.pipeline.generator.importing.open_files import Opened
from flowreel.pipeline.generator.importing.options import Claims
from flowreel.pipeline.generator.importing.reconcile import check_claims
from flowreel.schemas.errors import CheckpointError

Tables = Mapping[int, NDArray[np.float32]]
_WITH_FEATURES = {38: 3, 39: 3}  # input channels of pix2pixHD's scripts with features -> channels of the feature map


@dataclass(frozen=True)
class Single:
    """A single-image generator that was read."""

    config: ImageGeneratorConfig
    parts: tuple[Part, ...]  # S, and E if there is an encoder
    tables: Tables = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose(folder: Folder, epoch: str, load_size: int | None) -> SourceFile | None:
    """Chooses the generator of single images in a folder; of several (label2city_single) the one made for
    ``load_size``."""
    images = folder.images(epoch)
    if not images:
        return None
    for label in (f"G_{load_size}", "G"):
        if label in images:
            return images[label]
    if len(images) > 1:
        raise CheckpointError(
            f"{folder.store.uri} has several generators of single images: {', '.join(f.name for f in images.values())};"
            f" name the one to use: --single {next(iter(images.values())).url}"
        )
    return next(iter(images.values()))


def read_single(folder: Folder, file: SourceFile, claims: Claims, opened: Opened, epoch: str = LATEST) -> Single:
    """Reads a generator. ``claims``: about this generator, not a video generator with it. Raises CheckpointError."""
    weights = opened.weights(file)
    facts = image_facts(weights)
    _check_claimed(facts, claims, file.name)
    feat_num, assumed = _feature_channels(facts, claims)
    file_of_encoder = folder.encoder(epoch)
    parts = [Part("S", weights)]
    encoder: EncoderConfig | None = None
    tables: Tables = {}
    notes: list[str] = []
    if feat_num and file_of_encoder:
        parts.append(Part("E", opened.weights(file_of_encoder)))
        encoder = encoder_facts(parts[-1].weights)
        tables, notes = _tables(folder, facts, opened)
        _check_widths(file, feat_num, file_of_encoder, encoder, tables)
    elif feat_num:
        notes = [f"no {epoch}_net_E.pth beside {file.name}: its features have to come from elsewhere"]
    elif file_of_encoder:
        notes = [f"{file_of_encoder.name} is left out: {file.name} takes no features"]
    return Single(_config(facts, feat_num, encoder, tables), tuple(parts), tables, assumed, tuple(notes))


def _check_claimed(facts: ImageFacts, claims: Claims, where: str) -> None:
    names = ("ngf", "n_downsample", "n_blocks", "n_blocks_local", "n_local_enhancers")
    from_weights = {name: getattr(facts, name) for name in names}
    check_claims(
        {**from_weights, "kind": facts.kind.removesuffix("_with_features"), "feat_num": facts.feat_num}, claims, where
    )


def _feature_channels(facts: ImageFacts, claims: Claims) -> tuple[int, tuple[str, ...]]:
    """Gives the channels of the feature map, which the plain kinds take as part of their input, and what was
    assumed."""
    if facts.feat_num is not None:
        return facts.feat_num, ()
    claim = claims.claim("feat_num")
    if claim is not None:
        if claim.value >= facts.inputs:
            raise CheckpointError(
                f"{facts.file} has {facts.inputs} input channels, {claim.origin} says feat_num {claim.value}: that"
                " leaves none for labels"
            )
        return claim.value, ()
    if claims.claim("label_nc") is None and facts.inputs in _WITH_FEATURES:
        guess = _WITH_FEATURES[facts.inputs]
        return guess, (f"{guess} of {facts.inputs} input channels are a feature map (else --feat-num 0)",)
    return 0, ()


def _tables(folder: Folder, facts: ImageFacts, opened: Opened) -> tuple[Tables, list[str]]:
    """Reads feature tables, in which vid2vid looks faces up. pix2pixHD's are samples by label, which nothing here
    reads."""
    file = folder.features
    if facts.feat_num is None:
        return {}, [f"{file.name} is left out: only face generators look features up"] if file else []
    return (opened.features(file), []) if file else ({}, [f"no features.npy in {folder.store.uri}"])


def _check_widths(file: SourceFile, feat_num: int, encoder: SourceFile, config: EncoderConfig, tables: Tables) -> None:
    if config.output_nc != feat_num:
        raise CheckpointError(
            f"{encoder.url} makes {config.output_nc} feature channels, {file.url} takes {feat_num}: they are not of"
            " one checkpoint"
        )
    widths = {table.shape[1] for table in tables.values()}
    if widths - {feat_num}:
        raise CheckpointError(
            f"features.npy in {file.store.uri} has vectors of {max(widths)} numbers (and an area), {file.name} takes"
            f" {feat_num}: they are not of one checkpoint"
        )


def _config(facts: ImageFacts, feat_num: int, encoder: EncoderConfig | None, tables: Tables) -> ImageGeneratorConfig:
    try:
        return ImageGeneratorConfig(
            kind=facts.kind,
            input_nc=facts.inputs if facts.feat_num is not None else facts.inputs - feat_num,
            ngf=facts.ngf,
            n_downsample=facts.n_downsample,
            n_blocks=facts.n_blocks,
            feat_num=feat_num,
            width_limit=facts.width_limit,
            encoder=encoder,
            feature_rows=tuple(len(table) for _, table in sorted(tables.items())),
            n_blocks_local=facts.n_blocks_local or 3,  # the defaults: there are no local enhancers
            n_local_enhancers=facts.n_local_enhancers or 1,
        )
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise CheckpointError("\n".join([f"{facts.file} is no generator that can be used:", *lines])) from None
