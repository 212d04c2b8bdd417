"""A draft of an import: a configuration and the files that should fit it, not yet compared."""

from dataclasses import dataclass

from pydantic import ValidationError
from torch import Tensor, from_numpy

from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.image_config import ImageCheckpointConfig
from flowreel.pipeline.generator.importing.compare import Part
from flowreel.pipeline.generator.importing.single import Tables
from flowreel.pipeline.generator.importing.write import TABLES
from flowreel.schemas.errors import CheckpointError


@dataclass(frozen=True)
class Draft:
    """A checkpoint that is yet to be compared, checked and written."""

    config: GeneratorConfig | ImageCheckpointConfig
    parts: tuple[Part, ...]
    tables: Tables
    assumed: tuple[str, ...]  # what no claim says and no weight shows, with the flag that changes it
    notes: tuple[str, ...]  # what was left out, or is missing

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Gives the tensors by the key that they get in the checkpoint directory."""
        networks = {f"{p.label}.{key}": tensor for p in self.parts for key, tensor in p.weights.tensors.items()}
        return networks | {f"{TABLES}{label}": from_numpy(table) for label, table in self.tables.items()}


def impossible(where: str, error: ValidationError, hint: str = "") -> CheckpointError:
    """Makes the error for weights and options that no configuration can combine. ``hint``: what may help."""
    lines = [f"  {'.'.join(map(str, e['loc'])) + ': ' if e['loc'] else ''}{e['msg']}" for e in error.errors()]
    return CheckpointError(
        "\n".join([f"{where} cannot become a checkpoint:", *lines, *([f"  {hint}"] if hint else [])])
    )
