"""The outcomes of a plan's shards: a few bytes for each that was rendered in full, an outcome for each that was not."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowreel.pipeline.dataset.data_file import path_of
from flowreel.pipeline.identity import IdSearch, shard_id, to_hex
from flowreel.schemas.clip import Shard
from flowreel.schemas.manifest import SHARDS
from flowreel.schemas.outcome import DataFile, Failed, Rejected, Rendered, ShardOutcome
from flowreel.schemas.sequence import DIGEST_BYTES
from flowreel.schemas.shards import Shards

_NOT_DONE, _WITH_EXCEPTIONS = -1, -2  # instead of a file's size


class Ledger:
    """The outcomes of the shards of one plan, as they arrive.

    Each clip counts once: outcomes of whole shards come before those of shards that were split to find a culprit, which
    may be there as well.
    """

    def __init__(self, shards: Shards, outcomes: Iterable[ShardOutcome] = ()) -> None:
        self.shards = shards
        self._size_M = np.full(len(shards), _NOT_DONE, np.int64)
        self._sha_M32 = np.zeros((len(shards), DIGEST_BYTES), np.uint8)
        self._whole: dict[int, ShardOutcome] = {}  # of shards with rejected or failed clips
        self._parts: dict[str, ShardOutcome] = {}  # of shards that were split
        self._places = IdSearch(shards.id_M16)
        for outcome in outcomes:
            self.add(outcome)

    def add(self, outcome: ShardOutcome) -> None:
        """Counts an outcome; damaged records are ignored."""
        m = self._places.find(outcome.shard_id)
        if m is None:
            self._parts[outcome.shard_id] = outcome
        elif outcome.file and not outcome.lost and outcome.file.path == path_of(outcome.shard_id):
            self._size_M[m] = outcome.file.size
            self._sha_M32[m] = np.frombuffer(bytes.fromhex(outcome.file.sha256), np.uint8)
            self._whole.pop(m, None)
        elif [clip.clip_id for clip in outcome.clips] == self._clip_ids(m):  # else: a damaged record
            self._size_M[m], self._whole[m] = _WITH_EXCEPTIONS, outcome

    @property
    def clip_count(self) -> int:
        """Counts the clips that have an outcome."""
        return int(self._covered().sum())

    def unpublished(self) -> Iterator[tuple[int, Rejected | Failed]]:
        """Gives every rejected or failed clip, as its row in the plan and why, in order of the plan."""
        found = [
            (row, clip)
            for outcome, rows in self._exceptions()
            for row, clip in zip(rows, outcome.clips, strict=True)
            if not isinstance(clip, Rendered)
        ]
        return iter(sorted(found, key=lambda item: item[0]))

    def files(self) -> tuple[pa.Table, NDArray[np.int64]]:
        """Gives the data files (columns SHARDS), and for each clip of the plan the file that holds it, -1 for clips
        without."""
        shards, file_C = self.shards, np.full(self.shards.clip_count, -1, np.int64)
        good = np.flatnonzero(self._size_M >= 0)
        number_M = np.full(len(shards), -1, np.int64)
        number_M[good] = np.arange(len(good))
        file_C[:] = np.repeat(number_M, np.diff(shards.first_M1))
        others: list[DataFile] = []
        for outcome, rows in self._exceptions():
            if outcome.file:
                kept = [row for row, c in zip(rows, outcome.clips, strict=True) if isinstance(c, Rendered)]
                file_C[kept] = len(good) + len(others)
                others.append(outcome.file)
        return pa.concat_tables([self._good_files(good), _as_table(others)]), file_C

    def left(self) -> Iterator[Shard]:
        """Yields what is left to render of the plan. Of a shard that was split, the clips that are left, one by one.

        Shards with most frames come first, else the plan's order: a long one that comes last keeps one worker busy and
        all others waiting (Graham's LPT rule, 1969).
        """
        covered_C, first = self._covered(), self.shards.first_M1
        for m in self._longest_first(self._left_M).tolist():
            rows = [row for row in range(int(first[m]), int(first[m + 1])) if not covered_C[row]]
            if len(rows) == first[m + 1] - first[m]:
                yield self.shards[m]
                continue
            for row in rows:
                clip = self.shards.clip(row)
                yield Shard(shard_id([clip.clip_id]), (clip,))

    def size_left(self) -> tuple[int, int]:
        """Counts the shards (those that were split once) and label frames that `left` gives."""
        left_C = ~self._covered()
        shard_C = np.repeat(np.arange(len(self.shards)), np.diff(self.shards.first_M1))
        return len(np.unique(shard_C[left_C])), int(self.shards.frames_C[left_C].sum())

    @property
    def _left_M(self) -> NDArray[np.int64]:
        """Gives the shards that have no outcome."""
        return np.flatnonzero(self._size_M == _NOT_DONE)

    def _longest_first(self, m: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sorts shards by their frames, most first."""
        before_C1 = np.concatenate([[0], np.cumsum(self.shards.frames_C, dtype=np.int64)])
        frames_M = np.diff(before_C1[self.shards.first_M1])
        return m[np.argsort(-frames_M[m], kind="stable")]

    def _covered(self) -> NDArray[np.bool_]:
        """Tells for each clip whether it has an outcome."""
        covered_C = np.repeat(self._size_M != _NOT_DONE, np.diff(self.shards.first_M1))
        for outcome in self._parts.values():
            covered_C[[row for row in self._rows(outcome) if row is not None]] = True
        return covered_C

    def _exceptions(self) -> Iterator[tuple[ShardOutcome, list[int]]]:
        """Yields outcomes that are not simply a shard's whole file, with the rows of their clips."""
        seen = set[int]()
        for m, outcome in sorted(self._whole.items()):
            yield outcome, list(range(int(self.shards.first_M1[m]), int(self.shards.first_M1[m + 1])))
        done_C = np.repeat(self._size_M != _NOT_DONE, np.diff(self.shards.first_M1))
        for _, outcome in sorted(self._parts.items()):
            rows = self._rows(outcome)
            known = [row for row in rows if row is not None]
            if len(known) == len(rows) and not any(done_C[row] or row in seen for row in known):
                seen.update(known)
                yield outcome, known

    def _rows(self, outcome: ShardOutcome) -> list[int | None]:
        return [self._clip_places.find(clip.clip_id) for clip in outcome.clips]

    def _clip_ids(self, m: int) -> list[str]:
        first = self.shards.first_M1
        return [str(clip) for clip in to_hex(self.shards.clip_C16[first[m] : first[m + 1]]).to_pylist()]

    @cached_property
    def _clip_places(self) -> IdSearch:
        return IdSearch(self.shards.clip_C16)

    def _good_files(self, good: NDArray[np.int64]) -> pa.Table:
        names = to_hex(self.shards.id_M16[good]).to_pylist()
        columns = [[path_of(name) for name in names], self._size_M[good], to_hex(self._sha_M32[good])]
        return pa.table(columns, schema=SHARDS)


def _as_table(files: list[DataFile]) -> pa.Table:
    return pa.Table.from_pylist([asdict(file) for file in files], schema=SHARDS)
