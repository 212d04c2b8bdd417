"""Checkpoint directories: ``config.json`` (architecture) and ``model.safetensors`` (weights).

This module needs no PyTorch, so that planning can inspect a checkpoint without it. ``loading`` builds the networks.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from operator import index
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.configs import AnyConfig, parse_config
from flowreel.pipeline.generator.image_config import ImageCheckpointConfig
from flowreel.pipeline.identity import digest
from flowreel.pipeline.pointers import check_no_pointer
from flowreel.pipeline.storage import FileInfo, Store, open_store, sha256_of
from flowreel.schemas.errors import CheckpointError, StorageError
from flowreel.schemas.problems import problem_lines

BUNDLED = "bundled"
BUNDLED_DIR = Path(__file__).parent.parent / "bundled"
CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
LAYOUT = "flowreel_layout"  # in the metadata of weights
NOT_ARCHITECTURE = {
    "size",
    "description",
    "held_out",
    "sources",
}  # fields of the config that do not change what is rendered
_MAX_HEADER = 100 * 2**20  # safetensors' own bound


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was inspected but not loaded."""

    store: Store  # as the driver sees it; see `weights`
    bundled: bool
    config: AnyConfig
    weights_sha256: str
    shapes: dict[str, tuple[int, ...]] = field(repr=False)  # per key of the weights file
    layout: str | None = None  # of the networks it was saved from, see `layout_of`

    @property
    def digest(self) -> str:
        """Identifies the generator by its weights and architecture."""
        return digest([self.weights_sha256, self.config.model_dump(mode="json", exclude=NOT_ARCHITECTURE)])

    def weights(self) -> bytes:
        """Reads the weights file. Raises CheckpointError if it differs from the one that was inspected."""
        # The bundled one lies where this machine has Flowreel, which may be elsewhere than on the driver's.
        store = checkpoint_store(BUNDLED, {}) if self.bundled else self.store
        data = store.read(WEIGHTS_FILE)
        if hashlib.sha256(data).hexdigest() != self.weights_sha256:
            raise CheckpointError(
                f"{store.url(WEIGHTS_FILE)}: not the weights that the plan was made with; run the command again,"
                " with the same release of Flowreel on all machines"
            )
        return data


def checkpoint_store(uri: str, options: Mapping[str, Any]) -> Store:
    """Opens the store of a checkpoint; ``bundled`` is the one that ships with Flowreel."""
    return open_store(str(BUNDLED_DIR)) if uri == BUNDLED else open_store(uri, options)


def read_checkpoint(store: Store, fingerprint: Callable[[Store, FileInfo], str] = sha256_of) -> Checkpoint:
    """Reads configuration and header, and fingerprints the weights by SHA-256, which ``fingerprint`` may know already.

    Raises CheckpointError for a missing, unreadable or truncated file, naming it.
    """
    try:
        config = _config(store)
        shapes, layout = _header(store)
        sha256 = fingerprint(store, store.info(WEIGHTS_FILE))
    except StorageError as error:
        raise CheckpointError(
            f"generator.checkpoint {store.uri}: {error}\n"
            f"  a checkpoint directory holds {CONFIG_FILE} and {WEIGHTS_FILE}; `bundled` is the one that"
            " ships with Flowreel"
        ) from None
    return Checkpoint(store, store == checkpoint_store(BUNDLED, {}), config, sha256, shapes, layout)


def layout_of(config: AnyConfig, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Fingerprints an architecture with its keys and shapes: a file that has this in its header was saved from it."""
    return digest(
        [config.model_dump(mode="json", exclude=NOT_ARCHITECTURE), sorted((k, *s) for k, s in shapes.items())]
    )


def _config(store: Store) -> AnyConfig:
    """Reads the configuration. Raises CheckpointError, listing what is wrong with it."""
    text = store.read(CONFIG_FILE)
    _check_no_pointer(store, CONFIG_FILE, text)
    try:
        return parse_config(text)
    except ValidationError as error:
        wrong = error
    with suppress(ValidationError):
        ImageCheckpointConfig.model_validate_json(text)
        raise CheckpointError(
            f"{store.uri} is a generator of single images (pix2pixHD) and renders no video; it can make"
            f" a video generator's first frames: flowreel import-checkpoint VIDEO_FILES DEST --single {store.uri}"
        )
    lines = [
        f"  {line}"
        for line in problem_lines(AdaptiveConfig if wrong.title == AdaptiveConfig.__name__ else GeneratorConfig, wrong)
    ]
    raise CheckpointError("\n".join([f"{store.url(CONFIG_FILE)} is not a generator config:", *lines]))


def _check_no_pointer(store: Store, name: str, start: bytes) -> None:
    """Raises CheckpointError for a file that starts as a pointer of Git LFS does."""
    try:
        check_no_pointer(start)
    except ValueError as error:
        raise CheckpointError(f"{store.url(name)}: {error}") from None


def _header(store: Store) -> tuple[dict[str, tuple[int, ...]], str | None]:
    """Reads shapes by key, and the layout, from a safetensors header, after checking that the file is as long as it
    says."""
    url, size = store.url(WEIGHTS_FILE), store.info(WEIGHTS_FILE).size
    _check_no_pointer(store, WEIGHTS_FILE, store.read_range(WEIGHTS_FILE, 0, min(size, 200)))
    if size < 8:
        raise CheckpointError(f"{url}: {size} bytes are not a safetensors file")
    (length,) = struct.unpack("<Q", store.read_range(WEIGHTS_FILE, 0, 8))
    if length > min(size - 8, _MAX_HEADER):
        raise CheckpointError(f"{url}: not a safetensors file, or cut short: header of {length} bytes in {size} bytes")
    try:
        header = json.loads(store.read_range(WEIGHTS_FILE, 8, 8 + length))
        layout = header.pop("__metadata__", {}).get(LAYOUT)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        shapes = {key: tuple(map(index, entry["shape"])) for key, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        raise CheckpointError(f"{url}: not a safetensors file: its header is not readable") from None
    if end != size - 8 - length:
        raise CheckpointError(
            f"{url}: cut short: its header promises {end} bytes of weights, but it has {size - 8 - length}"
        )
    return shapes, layout
