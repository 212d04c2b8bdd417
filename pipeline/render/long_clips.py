"""Long clips: saved piece by piece with the state that the next frame needs, so that a kill costs one piece.

A clip's identity decides its frames, so pieces that another worker or run has left are as good as one's own.
"""

from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from flowreel.pipeline.dataset.runs.records import folder
from flowreel.pipeline.generator.clip_data import ClipFrames, Conditioning
from flowreel.pipeline.generator.clips import How, Piece, first_frame, joined, render_pieces
from flowreel.pipeline.generator.engine import Engine
from flowreel.pipeline.generator.rollout import RolloutState
from flowreel.pipeline.storage import Store


def render_long(
    engine: Engine, clip: Conditioning, how: How, pieces: "Pieces", tick: Callable[[int], None] | None = None
) -> ClipFrames:
    """The frames that `render_clips` gives of the clip alone, bit for bit; going on after pieces that are there."""
    done = pieces.load(first_frame(how, engine.config), engine.generator.device)
    last = done[-1] if done else None
    if last is None or last.stop < len(clip.label_THW):
        for piece in render_pieces(engine, [clip], how, tick, pieces.every, last):
            if piece.stop < len(clip.label_THW):
                pieces.save(piece)
            done.append(piece)
    return joined(done)[0]


class Pieces:
    """Those of one clip in a run's records: ``runs/<plan_id>/pieces/<clip_id>/<start>.safetensors``."""

    def __init__(self, dataset: Store, plan_id: str, clip_id: str, every: int) -> None:
        """``every``: frames in a piece."""
        self._dataset, self._folder, self.every = dataset, f"{folder(plan_id)}/pieces/{clip_id}", every

    def save(self, piece: Piece) -> None:
        tensors = {f"history.{i}": part.contiguous().cpu() for i, part in enumerate(piece.state.history)}
        tensors |= {"image": torch.from_numpy(piece.image_BTHW3), "raw_only": torch.tensor(piece.state.raw_only)}
        if piece.flow_BTHW2 is not None:
            tensors["flow"] = torch.from_numpy(piece.flow_BTHW2)
        self._dataset.write_checked(f"{self._folder}/{piece.start:08d}.safetensors", save(tensors))

    def load(self, start: int, device: torch.device) -> list[Piece]:
        """From label frame ``start`` on as far as they follow each other without a gap; damaged ones end it."""
        found: list[Piece] = []
        for info in self._dataset.list(self._folder):
            try:
                tensors = load(self._dataset.read(info.path, info.size))
                history = [tensors[f"history.{i}"].to(device) for i in range(sum("history" in n for n in tensors))]
                state = RolloutState(tuple(history), bool(tensors["raw_only"]))
                flow = tensors["flow"].numpy() if "flow" in tensors else None
                piece = Piece(int(info.path.rpartition("/")[2].split(".")[0]), tensors["image"].numpy(), flow, state)
            except (SafetensorError, KeyError, ValueError):
                break
            if piece.start != (found[-1].stop if found else start):
                break
            found.append(piece)
        return found

    def forget(self) -> None:
        """Once the clip is in a data file."""
        self._dataset.delete(*(info.path for info in self._dataset.list(self._folder)))
