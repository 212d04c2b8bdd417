"""Damaged containers: the frames that went in, or a sentence; never a traceback, never another id."""

import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from flowreel.pipeline.codec import decode_ids, encode_ids
from flowreel.pipeline.sources.containers.members import MEMBERS
from flowreel.pipeline.sources.containers.open import with_members
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.source import SourceSpec
from tests.support.containers import parquet_of, tar_of, video_of, zip_of

FRAMES = [np.random.default_rng(t).integers(0, 34, (24, 33)).astype(np.uint8) for t in range(8)]
DAMAGES = 40  # of each kind


def write(kind: str, folder: Path) -> bytes:
    path = folder / f"whole.{kind}"
    pngs = {f"labels/{t:06d}.png": encode_ids(ids_HW) for t, ids_HW in enumerate(FRAMES)}
    if kind in ("tar", "zip"):
        return (tar_of if kind == "tar" else zip_of)(path, pngs).read_bytes()
    if kind == "parquet":
        return parquet_of(path, [{"label": data} for data in pngs.values()]).read_bytes()
    codec = "ffv1" if kind == "mkv" else "png"
    return video_of(path, FRAMES, codec, "gray").read_bytes()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Flips bits, overwrites a stretch, or cuts the end off."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place, how = rng.randrange(len(changed)), rng.random()
        if how < 0.6:
            changed[place] ^= 1 << rng.randrange(8)
        elif how < 0.8:
            stretch = rng.randbytes(rng.randrange(1, 40))
            changed[place : place + len(stretch)] = stretch
        else:
            changed = changed[: max(1, place)]
    return bytes(changed)


@pytest.mark.parametrize("kind", ["tar", "zip", "parquet", "mkv", "mov"])
def test_damage_is_refused_or_changes_nothing(kind: str, tmp_path: Path) -> None:
    whole, rng = write(kind, tmp_path), random.Random(kind)
    (tmp_path / "source").mkdir()
    inside = "/labels/*.png" if kind in ("tar", "zip") else ""
    frames: dict[str, object] = {"columns": {}} if kind == "parquet" else {"labels": f"{{sequence}}.{kind}{inside}"}
    source = SourceSpec.model_validate({"uri": str(tmp_path / "source"), "fps": 17, **frames})
    refused = []
    for _ in range(DAMAGES):
        (tmp_path / "source" / f"a.{kind}").write_bytes(damaged(whole, rng))
        try:
            found = read(source)
        except FlowreelError as error:
            refused.append(str(error))
            continue
        for name, ids_HW in found.items():
            np.testing.assert_array_equal(ids_HW, FRAMES[int(name)], err_msg=name)
    assert refused and all(f"a.{kind}" in text for text in refused)


def read(source: SourceSpec) -> dict[str, NDArray[np.integer]]:
    """Gives the frames that decode, by name."""
    store = with_members(open_store(source.uri), source, MEMBERS.empty_table)
    found: dict[str, NDArray[np.integer]] = {}
    for info in store.list():
        data = store.read(info.path)
        name = Path(info.path).stem
        with suppress(ValueError):  # a problem of that file, as `plan` lists it
            ids_HW = decode_ids(data)
            if name.isdigit():  # names of a tar's members have checksums of a byte or two
                found[name] = ids_HW
    return found
