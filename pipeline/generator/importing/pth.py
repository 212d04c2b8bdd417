"""Reads the weights in a `.pth` file. Such files are pickles, which can hold code: none of it is ever run."""

import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flowreel.pipeline.generator.loading import DEAD_WEIGHT
from flowreel.schemas.errors import CheckpointError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
_OLD_MAGIC, _OLD_PICKLES = 0x1950A86A20F9469CFC6C, 5  # what files of PyTorch before 1.6 begin with, before tensors
_PREFIX = "module."  # what DataParallel puts before every key
_OTHER_FILES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself with `git lfs pull`",
    b"<": "HTML or XML, perhaps a download page in place of the file: download it again",
    b"{": "JSON",
}


@dataclass(frozen=True)
class Weights:
    """A file's tensors on the CPU, as stored. They may be mapped from the file, which must exist until they are
    copied."""

    name: str  # the file, for messages
    tensors: dict[str, Tensor]  # without the entries that no network reads
    unwrapped: bool = False  # every key began with `module.`, which was taken off

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}

    @property
    def parameters(self) -> int:
        return sum(tensor.numel() for tensor in self.tensors.values())


def read_pth(file: Path, name: str) -> Weights:
    """Reads what networks of this package use of the state_dict in ``file``. Raises as `read_state_dict` does."""
    loaded = read_state_dict(file, name)
    unwrapped = all(key.startswith(_PREFIX) for key in loaded)
    tensors = {key.removeprefix(_PREFIX) if unwrapped else key: value for key, value in loaded.items()}
    return Weights(name, {k: v for k, v in tensors.items() if not k.endswith(DEAD_WEIGHT)}, unwrapped)


def read_state_dict(file: Path, name: str) -> dict[str, Tensor]:
    """Reads the state_dict in ``file``, called ``name`` in messages; also in the format of PyTorch before 1.6.

    Raises CheckpointError for a file that is not a state_dict, is damaged, or holds anything that only code could
    restore.
    """
    loaded = _load(file, name)
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{name} holds a {_kind(loaded)}, not a state_dict (names and tensors)")
    if not loaded:
        raise CheckpointError(f"{name} holds an empty state_dict")
    for key, value in loaded.items():
        _check_entry(name, key, value)
    return {key: value.detach() for key, value in loaded.items()}


def _load(file: Path, name: str) -> Any:
    with file.open("rb") as stream:
        head = stream.read(64)
    if not head:
        raise CheckpointError(f"{name} is empty; download or copy it again")
    if head.startswith(ZIP) and not _is_whole_zip(file):
        raise CheckpointError(f"{name} is cut short or damaged at its end; download or copy it again")
    if not head.startswith((ZIP, PICKLE)):
        raise CheckpointError(f"{name} is not a PyTorch file but {_looks_like(head)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old pickle protocols
            # Mapped files are read as needed; the format of PyTorch before 1.6 does not allow it.
            return torch.load(file, map_location="cpu", weights_only=True, mmap=head.startswith(ZIP))
    except Exception as error:  # a damaged pickle makes its reader fail in any way
        raise _refusal(name, error, None if head.startswith(ZIP) else file) from None


def _refusal(name: str, error: Exception, pickles: Path | None) -> CheckpointError:
    """Makes the error for a file that was not loaded. ``pickles``: the file, if it is not a zip archive."""
    text = str(error)
    cut = isinstance(error, EOFError) or "EOF" in text
    called = re.findall(r"(?:GLOBAL|class) ([\w.]+)", text) if isinstance(error, pickle.UnpicklingError) else []
    try:
        called = [*called, *(_names_in(pickles) if pickles else [])]
    except (ValueError, MemoryError) as early:  # a pickle ends early, perhaps within a name; or means nothing
        cut, called = "unknown" not in str(early), []
    if cut:
        return CheckpointError(f"{name} is cut short; download or copy it again")
    if called:
        return CheckpointError(
            f"{name} contains code: loading it would call {called[0]}. It was refused and nothing was run. A whole"
            " network was pickled, or the file is malicious; if you trust where it comes from, save the weights alone"
            " there: torch.save(network.state_dict(), FILE)"
        )
    detail = " ".join(text.split())[:120]
    return CheckpointError(
        f"{name} is damaged, or was not written by torch.save ({type(error).__name__}: {detail}); download or copy it"
        " again"
    )


def _is_whole_zip(file: Path) -> bool:
    """Tells whether its table of contents, which lies at the end, is complete."""
    try:
        return zipfile.is_zipfile(file)
    except zipfile.BadZipFile:
        return False


def _names_in(pickles: Path) -> list[str]:
    """Lists what loading a lone pickle would look up, without loading it. Raises ValueError if the pickle ends early.

    PyTorch before 1.6 wrote several pickles, the first of them a number. They are only followed to their ends.
    """
    names: list[str] = []
    texts: list[str] = []
    left = 1
    with pickles.open("rb") as stream:
        while left:
            for op, argument, _ in pickletools.genops(stream):
                if op.name == "LONG1" and argument == _OLD_MAGIC:
                    left = _OLD_PICKLES
                elif op.name == "GLOBAL" and left == 1:
                    names.append(str(argument).replace(" ", "."))
                elif op.name == "STACK_GLOBAL" and left == 1:
                    names.append(".".join(texts[-2:]))
                elif isinstance(argument, str):
                    texts.append(argument)
            left -= 1
    return names


def _looks_like(head: bytes) -> str:
    for magic, what in _OTHER_FILES.items():
        if head.lstrip().startswith(magic):
            return what
    return f"text ({head[:20].decode('ascii')!r}...)" if head.isascii() else f"something that begins with {head[:8]!r}"


def _check_entry(name: str, key: object, value: object) -> None:
    if not isinstance(key, str):
        raise CheckpointError(f"{name}: the name {key!r} is a {_kind(key)}, not text: not a state_dict")
    if not isinstance(value, Tensor):
        hint = ""
        if isinstance(value, Mapping):
            hint = f"; if the weights lie in there, save them alone: torch.save(checkpoint[{key!r}], FILE)"
        raise CheckpointError(f"{name}: entry {key!r} is a {_kind(value)}, not a tensor{hint}")
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        raise CheckpointError(f"{name}: entry {key!r} is sparse, quantised or empty; save a plain tensor")
    if not value.is_floating_point() and not key.endswith(DEAD_WEIGHT):
        raise CheckpointError(f"{name}: entry {key!r} has type {value.dtype}; weights are floating-point numbers")


def _kind(value: object) -> str:
    return type(value).__name__
