"""The dataset card: what a version holds, for people who find the folder."""

import numpy as np
import yaml

from pipeline.job import RenderJob
from pipeline.manifest_file import Totals
from schemas.version import Counts

_CARD = """# {name}, version {number}

Synthetic, paired video: every image was rendered by a vid2vid generator from the label map beside it.

| | |
| --- | --- |
| clips | {clips:,} |
| frames | {frames:,} of {width}x{height} |
| sequences | {sequences:,} |
| splits | {splits} |
| label space | {space} |
| generator | `{generator}` |
| failed, rejected clips | {failed:,}, {rejected:,} (`failures.parquet`) |

`manifest.parquet` has one row per frame; `shard`, `row_group` and `row` say where in the dataset its image, label,
instance map and flow lie. Plain pyarrow reads them:

```python
import pyarrow.parquet as pq

frame = pq.read_table("manifest.parquet").to_pylist()[0]
rows = pq.ParquetFile("../../" + frame["shard"]).read_row_group(frame["row_group"])
jpeg = rows["image"][frame["row"]]["bytes"].as_py()
```

## Classes

| id | class | share of pixels |
| --- | --- | --- |
{classes}

## Made by

```yaml
{spec}```

Labels come from the source named above; its licence and the generator's apply to what is derived from them.
"""


def dataset_card(job: RenderJob, number: int, counts: Counts, totals: Totals) -> str:
    """Markdown; the same for the same version."""
    splits = totals.split_frames
    return _CARD.format(
        name=job.spec.dataset.title,
        number=number,
        width=job.settings.size[0],
        height=job.settings.size[1],
        splits=", ".join(f"{name}: {splits[name]:,} frames" for name in sorted(splits)),
        space=f"{job.space.name}, version {job.space.version}",
        generator=job.settings.generator,
        classes="\n".join(_class_lines(job, totals)),
        spec=yaml.safe_dump(job.spec.model_dump(mode="json", by_alias=True), sort_keys=False),
        **counts.model_dump(include={"clips", "frames", "sequences", "failed", "rejected"}),
    )


def _class_lines(job: RenderJob, totals: Totals) -> list[str]:
    pixels = totals.class_pixels
    return [
        f"| {i} | {job.space.by_id[i].name} | {pixels[i] / pixels.sum():.2%} |" for i in np.flatnonzero(pixels).tolist()
    ]
