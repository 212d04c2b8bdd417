"""Features of image regions: a vector per region, and tables to look vectors up in (pix2pixHD, section 3.4)."""

import torch
from torch import Tensor, nn

from flowreel.pipeline.generator.image_config import ImageGeneratorConfig


class FeatureTables(nn.Module):
    """Vectors of images seen in training, per part label: buffers ``0``, ``1``, ..., each (rows, Z).

    Row m of each table describes image m; tables may hold more rows than there are whole images.
    """

    def __init__(self, config: ImageGeneratorConfig) -> None:
        super().__init__()
        for label, rows in enumerate(config.feature_rows):
            self.register_buffer(str(label), torch.zeros(rows, config.feat_num))

    def tables(self) -> list[Tensor]:
        """Gives the tables by part label."""
        return list(self.buffers(recurse=False))

    def forward(self, vector_KZ: Tensor, present_K: Tensor) -> Tensor:
        """Finds the vectors, (K, Z), of the known image nearest to ``vector_KZ``, over all parts together.

        Parts that are not ``present_K`` do not count. The length of the last part's table is the number of images.
        """
        tables = self.tables()
        images = len(tables[-1])
        known_MKZ = torch.stack([table[:images] for table in tables], dim=1)
        squared_MK = (known_MKZ - vector_KZ).square().sum(dim=-1)
        nearest = int(squared_MK[:, present_K].sum(dim=1).argmin())
        return torch.stack([table[min(nearest, len(table) - 1)] for table in tables])

    def lookup(self, feature_BZHW: Tensor, part_BHW: Tensor) -> Tensor:
        """Replaces encoded features by those of a known image, (B, Z, H, W). Raises ValueError for a part label
        without a table."""
        maps = []
        for feature_ZHW, part_HW in zip(feature_BZHW, part_BHW.long(), strict=True):
            vector_KZ, present_K = part_vectors(feature_ZHW, part_HW, len(self.tables()))
            maps.append(self(vector_KZ, present_K)[part_HW].movedim(-1, 0))
        return torch.stack(maps)


def part_vectors(feature_ZHW: Tensor, part_HW: Tensor, labels: int) -> tuple[Tensor, Tensor]:
    """Averages features per part label, (K, Z), zeros where a label does not occur; and tells which occur, bool
    (K,)."""
    ids = part_HW.long()
    lowest, highest = int(ids.min()), int(ids.max())
    if lowest < 0 or highest >= labels:
        wrong = lowest if lowest < 0 else highest
        raise ValueError(f"part label {wrong} is not in 0..{labels - 1}, the labels that features are known for")
    present_K = torch.bincount(ids.flatten(), minlength=labels) > 0
    return _means(feature_ZHW, ids, labels), present_K


def region_means(feature_BZHW: Tensor, region_BHW: Tensor) -> Tensor:
    """Replaces each feature by its mean over the region of equal id that it lies in. Ids are truncated to integers."""
    maps = []
    for feature_ZHW, region_HW in zip(feature_BZHW, region_BHW, strict=True):
        ids, place_HW = torch.unique(region_HW.long(), return_inverse=True)
        maps.append(_means(feature_ZHW, place_HW, len(ids))[place_HW].movedim(-1, 0))
    return torch.stack(maps)


def _means(feature_ZHW: Tensor, place_HW: Tensor, count: int) -> Tensor:
    """Averages over the pixels with place 0, 1, ..., ``count`` - 1: (count, Z), zeros for no pixel. Summed in
    float64."""
    flat_NZ = feature_ZHW.flatten(1).T.double()
    sum_KZ = flat_NZ.new_zeros(count, flat_NZ.shape[1]).index_add_(0, place_HW.flatten(), flat_NZ)
    pixels_K = torch.bincount(place_HW.flatten(), minlength=count)
    return (sum_KZ / pixels_K.clamp(min=1)[:, None]).to(feature_ZHW.dtype)
