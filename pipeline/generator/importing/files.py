"""Finds the official files in a folder, and which of them belong together."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flowreel.pipeline.generator.checkpoint import CONFIG_FILE
from flowreel.pipeline.storage import Store, open_file, open_store
from flowreel.schemas.errors import CheckpointError

LATEST = "latest"
MAX_BYTES = 32 * 2**30  # of one file; the largest official one has 1.7 GB
_BLOCK = 64 * 2**20
_WEIGHTS = re.compile(r"(?P<epoch>[^/]+)_net_(?P<label>G\d*|G_\d+|E)\.pth")
_FEATURES = "features.npy"


@dataclass(frozen=True)
class SourceFile:
    """A file to import."""

    store: Store
    name: str
    size: int

    @property
    def url(self) -> str:
        return self.store.url(self.name)

    def read(self, most: int) -> bytes:
        """Reads a small file whole. Raises CheckpointError if it has more bytes than ``most``."""
        if self.size > most:
            raise CheckpointError(f"{self.url} has {self.size:,} bytes, at most {most:,} are read")
        return self.store.read(self.name, self.size)

    @contextmanager
    def local(self) -> Iterator[tuple[Path, str]]:
        """Yields the file on this machine's disk, and its SHA-256; a copy is deleted when the block ends."""
        if self.size > MAX_BYTES:
            raise CheckpointError(f"{self.url} has {self.size:,} bytes, at most {MAX_BYTES:,} are read")
        blocks = (
            self.store.read_range(self.name, start, min(self.size, start + _BLOCK))
            for start in range(0, self.size, _BLOCK)
        )
        sha = hashlib.sha256()
        if "://" not in self.store.uri:
            for block in blocks:
                sha.update(block)
            yield Path(self.url), sha.hexdigest()
            return
        with TemporaryDirectory(prefix="flowreel-import-") as folder:
            file = Path(folder) / "weights.pth"
            with file.open("wb") as out:
                for block in blocks:
                    sha.update(block)
                    out.write(block)
            yield file, sha.hexdigest()


@dataclass(frozen=True)
class Folder:
    """A listed folder: its own files, and where below it there are weights."""

    store: Store
    files: dict[str, SourceFile]
    below: tuple[str, ...]  # folders with weights files, for hints

    def weights(self, epoch: str) -> dict[str, SourceFile]:
        """Gives `<epoch>_net_<label>.pth` by label: G0, G1, ..., G, G_512, ..., E."""
        found = {}
        for name, file in self.files.items():
            if (match := _WEIGHTS.fullmatch(name)) and match["epoch"] == epoch:
                found[match["label"]] = file
        return found

    def scales(self, epoch: str) -> list[SourceFile]:
        """Gives G0, G1, ... without a gap; [] if there is none. Raises CheckpointError naming the missing one."""
        found = {int(k[1:]): v for k, v in self.weights(epoch).items() if re.fullmatch(r"G\d+", k)}
        gaps = sorted(set(range(max(found, default=-1) + 1)) - set(found))
        if gaps:
            raise CheckpointError(
                f"{self.store.uri}: {epoch}_net_G{gaps[0]}.pth is missing, but {epoch}_net_G{max(found)}.pth is there;"
                " a generator of several scales needs the files of all coarser ones (G0 is the coarsest)"
            )
        return [found[scale] for scale in sorted(found)]

    def images(self, epoch: str) -> dict[str, SourceFile]:
        """Gives the generators of single images, by label: G, G_512, G_1024, ..."""
        return {k: v for k, v in self.weights(epoch).items() if re.fullmatch(r"G(_\d+)?", k)}

    def encoder(self, epoch: str) -> SourceFile | None:
        return self.weights(epoch).get("E")

    @property
    def features(self) -> SourceFile | None:
        return self.files.get(_FEATURES)

    @property
    def converted(self) -> bool:
        """Tells whether it is already a checkpoint directory."""
        return CONFIG_FILE in self.files

    def nothing(self, epoch: str) -> CheckpointError:
        """Makes the error for a folder without weights of this epoch, which says what there is instead."""
        epochs = sorted({m["epoch"] for name in self.files if (m := _WEIGHTS.fullmatch(name))})
        if epochs:
            hint = f"there are weights of {', '.join(epochs)}: choose one with --epoch"
        elif self.below:
            hint = f"there are weights in {', '.join(self.below[:5])}: give that folder"
        elif self.converted:
            hint = f"it has a {CONFIG_FILE}: if it is a checkpoint directory, nothing needs to be imported"
        else:
            hint = "give the folder that holds latest_net_G0.pth (vid2vid) or latest_net_G.pth (pix2pixHD)"
        return CheckpointError(f"{self.store.uri}: no {epoch}_net_G0.pth and no {epoch}_net_G.pth; {hint}")


def list_folder(store: Store) -> Folder:
    """Lists a folder once. Raises StorageError if it cannot be listed."""
    store.check_readable()
    listed = store.list()
    own = {i.path: SourceFile(store, i.path, i.size) for i in listed if "/" not in i.path}
    deeper = (info.path.rpartition("/") for info in listed if "/" in info.path)
    below = sorted({store.url(folder) for folder, _, name in deeper if _WEIGHTS.fullmatch(name)})
    return Folder(store, own, tuple(below))


def sibling(store: Store, name: str) -> Folder | None:
    """Lists the folder of this name beside ``store``, where the official scripts expect it; None if it has no files."""
    parent = store.uri.rpartition("/")[0]
    if not parent or parent.endswith("/"):
        return None
    place = open_store(f"{parent}/{name}")
    return list_folder(place) if place.uri != store.uri and place.list() else None


def single_folder(uri: str) -> tuple[Folder, SourceFile | None]:
    """Lists what `--single` names: a folder, or a `.pth` file and the folder around it."""
    if not uri.endswith(".pth"):
        return list_folder(open_store(uri)), None
    store, name = open_file(uri)
    folder = list_folder(store)
    if name not in folder.files:
        raise CheckpointError(f"--single {uri}: there is no such file; there are {', '.join(sorted(folder.files))}")
    return folder, folder.files[name]
