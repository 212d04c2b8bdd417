"""Segmenters that a spec names: a file of `flowreel segmenter`, ONNX, or TorchScript, which runs code of its own."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flowreel.pipeline.pointers import check_no_pointer
from flowreel.pipeline.quality.segmenter_network import load_segmenter
from flowreel.pipeline.storage import open_file
from flowreel.pipeline.storage.errors import Unavailable
from flowreel.schemas.errors import StorageError, UsageError
from flowreel.schemas.extras import require
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.spec import Spec

Logits = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]  # RGB (1, 3, H, W) in [0, 1] -> (1, C, H', W')
PROBE_SIZE = (64, 128)  # height, width of the frame that shows how many channels a segmenter has
_OUTSIDE = b"\n\x08location\x12"  # how ONNX says that weights lie in another file: a field `location`, and its value
_SILENT = 4  # of ONNX Runtime's log: what it would print is in its errors


@dataclass(frozen=True)
class Segmenter:
    """A network that finds classes in frames."""

    logits: Logits
    classes: tuple[int, ...]  # label id of each channel
    size: tuple[int, int] | None  # width, height that frames must have; None: any


def open_segmenter(spec: Spec, space: LabelSpace, *, allow_code: bool = False) -> Segmenter | None:
    """Opens the segmenter that a spec names; None if it names none.

    ``allow_code``: accept a file that runs code of its own. Raises UsageError for such a file without it, which is
    not even read then, for one that does not exist, or whose channels are not the classes that the spec says;
    CheckpointError if the file is something else.
    """
    uri = spec.quality.segmenter
    if uri is None:
        return None
    store, name = open_file(uri, spec.storage_options)
    url, ending = store.url(name), PurePosixPath(name).suffix
    if ending not in _OPENERS:
        raise UsageError(f"quality.segmenter: {url} must end in one of {', '.join(_OPENERS)}")
    if ending in RUN_CODE and not allow_code:
        raise UsageError(
            f"quality.segmenter: {url} is TorchScript, which can run code of its own and write any file of yours; use"
            " ONNX (.onnx) or a file of `flowreel segmenter DATA OUT` (.safetensors), or, if you trust whoever made it,"
            " give --allow-code (in Python, allow_code=True)"
        )
    try:
        data = store.read(name)
    except Unavailable:
        raise
    except StorageError as error:
        raise UsageError(f"quality.segmenter: {error}") from None
    try:
        check_no_pointer(data)
    except ValueError as error:
        raise UsageError(f"quality.segmenter: {url}: {error}") from None
    return _OPENERS[ending](data, url, _classes(spec, space), space)


def _classes(spec: Spec, space: LabelSpace) -> tuple[int, ...]:
    """Gives the classes of its channels: by default, all that are not ignored, by id."""
    named = spec.quality.segmenter_classes
    try:
        return tuple(map(space.resolve, named)) if named else tuple(sorted(c.id for c in space.classes if not c.ignore))
    except ValueError as error:
        raise UsageError(f"quality.segmenter_classes: {error}") from None


def _own(data: bytes, url: str, classes: tuple[int, ...], space: LabelSpace) -> Segmenter:
    network = load_segmenter(data, url)
    if network.facts.label_space != space.name:
        raise UsageError(
            f"quality.segmenter: {url} finds classes of label space '{network.facts.label_space}', but the labels are"
            f" of '{space.name}'; train one on these labels with `flowreel segmenter DATA OUT`"
        )
    return Segmenter(_by_torch(lambda x: network(2 * x - 1)), network.facts.classes, network.facts.size)


def _torchscript(data: bytes, url: str, classes: tuple[int, ...], space: LabelSpace) -> Segmenter:
    try:
        network = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
    except RuntimeError as error:
        raise UsageError(f"quality.segmenter: {url}: not a TorchScript file: {str(error).splitlines()[0]}") from None
    return _checked(Segmenter(_by_torch(network), classes, None), url)


def _onnx(data: bytes, url: str, classes: tuple[int, ...], space: LabelSpace) -> Segmenter:
    require(f"quality.segmenter: {url}", "onnx")
    import onnxruntime

    if _OUTSIDE in data:
        raise UsageError(
            f"quality.segmenter: {url} keeps its weights in other files, which are not opened; save it as one file:"
            " onnx.save(onnx.load(FILE), FILE, save_as_external_data=False)"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise UsageError(f"quality.segmenter: {url}: not an ONNX file: {error}") from None
    wanted = session.get_inputs()[0]
    height, width = wanted.shape[2:] if len(wanted.shape) == 4 else (None, None)
    size = (width, height) if isinstance(width, int) and isinstance(height, int) else None
    return _checked(Segmenter(lambda x: session.run(None, {wanted.name: x})[0], classes, size), url)


_OPENERS = {".safetensors": _own, ".onnx": _onnx, ".pt": _torchscript, ".ts": _torchscript}
RUN_CODE = {".pt", ".ts"}


def _by_torch(network: Callable[[torch.Tensor], Any]) -> Logits:
    def logits(x_13HW: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        with torch.inference_mode():
            return network(torch.from_numpy(x_13HW)).float().numpy()

    return logits


def _checked(segmenter: Segmenter, url: str) -> Segmenter:
    """Tries a segmenter on a grey frame, so that errors show before anything is rendered."""
    width, height = segmenter.size or PROBE_SIZE[::-1]
    try:
        shape = segmenter.logits(np.full((1, 3, height, width), 0.5, np.float32)).shape
    except Exception as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"quality.segmenter: {url} does not take RGB frames (1, 3, {height}, {width}) in [0, 1]: {reason}"
        ) from None
    if len(shape) != 4 or shape[1] != len(segmenter.classes):
        raise UsageError(
            f"quality.segmenter: {url} gives {tuple(shape)} for one frame, where (1, {len(segmenter.classes)}, H, W) is"
            " needed; name the class of each channel in quality.segmenter_classes"
        )
    return segmenter
