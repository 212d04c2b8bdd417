"""Opens the files of one import: each is read once, fingerprinted, and remembered for the report."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.generator.importing.feature_tables import MAX_BYTES, read_features
from flowreel.pipeline.generator.importing.files import SourceFile
from flowreel.pipeline.generator.importing.pth import Weights, read_pth


@dataclass
class Opened:
    """Opens files; ``stack`` closes them, so use their content before it does."""

    stack: ExitStack
    digests: dict[str, str] = field(default_factory=dict)  # SHA-256 by file name
    unwrapped: list[str] = field(default_factory=list)  # names of files whose keys began with `module.`

    def weights(self, file: SourceFile) -> Weights:
        """Reads a `.pth` file's tensors. Raises CheckpointError if it is not one."""
        path, self.digests[file.name] = self.stack.enter_context(file.local())
        weights = read_pth(path, file.url)
        if weights.unwrapped:
            self.unwrapped.append(file.name)
        return weights

    def features(self, file: SourceFile) -> Mapping[int, NDArray[np.float32]]:
        """Reads tables by part label, (rows, Z). Raises CheckpointError if it is not such a file."""
        data = file.read(MAX_BYTES)
        self.digests[file.name] = sha256(data).hexdigest()
        return read_features(data, file.url)
