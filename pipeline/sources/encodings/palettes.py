"""What the entries of an indexed picture's palette mean: ids by their index, or ids by the grey that they show."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowreel.pipeline.id_maps import ColourPicture, is_grey
from flowreel.schemas.label_space import LabelSpace

GREY, COLOURED = "grey palette", "coloured palette"


def voc_colours() -> NDArray[np.uint8]:
    """Gives the palette of PASCAL VOC, uint8 (256, 3), which many tools write: the bits of an index, three at a
    time."""
    index_N, rgb_N3 = np.arange(256), np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            rgb_N3[:, channel] |= (index_N >> channel & 1) << (7 - bit)
        index_N = index_N >> 3
    return rgb_N3.astype(np.uint8)


_VOC_N3 = voc_colours()


@dataclass
class PaletteRule:
    """Reads a palette as its colours say.

    Where the used entries have the label space's colours, their index is the id; where all entries are grey, the grey
    is. PASCAL VOC's palette stands for its indices where the label space's colours cannot be meant: in instance maps,
    and where a remap says what a source's ids are. ``found`` says afterwards which it was, None without a palette.
    """

    space: LabelSpace | None  # None: of instance maps
    remapped: bool = False
    found: str | None = None

    def __call__(
        self, index_K: NDArray[np.integer], rgb_K3: NDArray[np.uint8], palette_N3: NDArray[np.uint8]
    ) -> NDArray[np.integer]:
        coloured = self.space is not None and self._has_colours(index_K, rgb_K3)
        if self.space is None or self.remapped:
            coloured |= bool((_VOC_N3[index_K] == rgb_K3).all())
        grey = is_grey(palette_N3)
        same = grey and np.array_equal(rgb_K3[:, 0], index_K)
        if grey and coloured and not same:
            raise ValueError(_two_meanings(index_K, rgb_K3))
        if grey or coloured:
            self.found = "" if same else GREY if grey else COLOURED
            return rgb_K3[:, 0] if grey else index_K
        raise ColourPicture(
            f"indexed picture whose palette {self._contradiction(index_K, rgb_K3)}",
            np.concatenate([rgb_K3, np.full((len(rgb_K3), 1), 255, np.uint8)], axis=1),
        )

    def _has_colours(self, index_K: NDArray[np.integer], rgb_K3: NDArray[np.uint8]) -> bool:
        assert self.space is not None
        known = self.space.by_id
        return all(
            i in known and known[i].color == tuple(rgb)
            for i, rgb in zip(index_K.tolist(), rgb_K3.tolist(), strict=True)
        )

    def _contradiction(self, index_K: NDArray[np.integer], rgb_K3: NDArray[np.uint8]) -> str:
        if self.space is None:
            return "shows colours, of which nothing says which instance each is"
        for i, rgb in zip(index_K.tolist(), rgb_K3.tolist(), strict=True):
            found = self.space.by_id.get(i)
            if found is None or found.color != tuple(rgb):
                is_ = f"'{found.name}', {found.color}," if found else "no class"
                where = f"contradicts label space '{self.space.name}'"
                return f"{where}: index {i} is shown as {tuple(rgb)}, but is {is_} there"
        return "shows colours"


@dataclass
class IndexRule:
    """Takes indices for ids, because the spec says so. ``found``: names the palette, which a source must not change."""

    found: str | None = None

    def __call__(
        self, index_K: NDArray[np.integer], rgb_K3: NDArray[np.uint8], palette_N3: NDArray[np.uint8]
    ) -> NDArray[np.integer]:
        self.found = "palette " + hashlib.sha256(palette_N3.tobytes()).hexdigest()[:8]
        return index_K


def _two_meanings(index_K: NDArray[np.integer], rgb_K3: NDArray[np.uint8]) -> str:
    at = int(np.flatnonzero(rgb_K3[:, 0] != index_K)[0])
    return (
        f"indexed picture with two meanings: index {index_K[at]} shows grey {rgb_K3[at, 0]}, which also is the colour"
        f" of class {index_K[at]}; store it with 8-bit grey"
    )
