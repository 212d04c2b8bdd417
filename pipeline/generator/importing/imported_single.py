"""A generator of single images that was imported before: its checkpoint directory gives first frames, too."""

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from flowreel.pipeline.generator.image_config import ImageCheckpointConfig
from flowreel.pipeline.generator.importing.compare import Part
from flowreel.pipeline.generator.importing.files import Folder
from flowreel.pipeline.generator.importing.open_files import Opened
from flowreel.pipeline.generator.importing.pth import Weights
from flowreel.pipeline.generator.importing.single import Single
from flowreel.pipeline.generator.importing.write import TABLES
from flowreel.schemas.errors import CheckpointError

_MAX_CONFIG = 2**20


def read_converted(folder: Folder, opened: Opened) -> Single:
    """Raises CheckpointError if the directory is none of a generator of single images, or is damaged."""
    config, weights = folder.files[CONFIG_FILE], folder.files.get(WEIGHTS_FILE)
    if weights is None:
        raise CheckpointError(f"{folder.store.uri} has a {CONFIG_FILE} but no {WEIGHTS_FILE}")
    try:
        image = ImageCheckpointConfig.model_validate_json(config.read(_MAX_CONFIG))
    except ValidationError:
        raise CheckpointError(
            f"--single {folder.store.uri}: the checkpoint directory is not of a generator of single images; give its"
            " .pth files, or a directory that was imported from latest_net_G.pth alone"
        ) from None
    path, opened.digests[weights.name] = opened.stack.enter_context(weights.local())
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{weights.url} is damaged: {error}") from None
    parts = []
    for label in ("S", "E") if image.single.encoder else ("S",):
        own = {key[2:]: tensor for key, tensor in tensors.items() if key.startswith(f"{label}.")}
        parts.append(Part(label, Weights(weights.url, own)))
    tables = {i: tensors[f"{TABLES}{i}"].numpy() for i in range(len(image.single.feature_rows))}
    return Single(image.single, tuple(parts), tables)
