"""The dataset card, which tells people who find the folder, and the Hugging Face hub, what a version holds."""

from typing import Any

import numpy as np
import yaml

from flowreel.pipeline.dataset.versions import MANIFEST_FILE
from flowreel.pipeline.edits.instances import NONE
from flowreel.pipeline.publish.version_facts import VersionFacts
from flowreel.schemas.wording import printable

_CARD = """---
{front}---

# {name}, version {number}

Synthetic, paired video: every image was rendered by a vid2vid generator from the label map beside it.

| | |
| --- | --- |
| clips | {clips:,} |
| frames | {frames:,} of {width}x{height} |
| sequences | {sequences:,} |
| splits | {splits} |
| label space | {space} |
| generator | `{generator}` |
{instances}| licence | {license} |
| clips not published | {failed:,} failed, {rejected:,} rejected (`failures.parquet`) |

`manifest.parquet` has one row per frame; its columns `shard`, `row_group` and `row` say where the image, label map,
instance map and flow of the frame are stored. Plain pyarrow reads them:

```python
import pyarrow.parquet as pq

frame = pq.read_table("manifest.parquet").to_pylist()[0]
rows = pq.ParquetFile("../../" + frame["shard"]).read_row_group(frame["row_group"])
jpeg = rows["image"][frame["row"]]["bytes"].as_py()
```

`shards.parquet` lists the data files of this version with their sizes and SHA-256 hashes, `lineage.parquet` says what
every clip was rendered from, and `croissant.json` describes the columns.

## Classes

| id | class | share of pixels | frames that show the class |
| --- | --- | --- | --- |
{classes}

## Spec

```yaml
{spec}```

The labels come from the source named above. Its licence and that of the generator apply to everything derived from
them.
"""
_INSTANCES = f"| instance maps | {NONE} means no instance, whatever the bit depth; on things: part of a group |\n"
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")


def dataset_card(facts: VersionFacts) -> str:
    """Writes the card: Markdown with Hugging Face's YAML front matter; the same for the same version."""
    spec, splits = facts.spec, facts.totals.split_frames
    text = _CARD.format(
        front=_front_matter(facts),
        name=spec.dataset.title,
        number=facts.number,
        width=facts.settings.size[0],
        height=facts.settings.size[1],
        splits=", ".join(f"{name}: {splits[name]:,} frames" for name in sorted(splits)),
        space=f"{facts.space.name}, version {facts.space.version}",
        generator=facts.settings.generator,
        instances=_INSTANCES if spec.output.instances and spec.source.has_instances else "",
        license=spec.dataset.license,
        classes="\n".join(_class_lines(facts)),
        spec=yaml.safe_dump(spec.model_dump(mode="json", by_alias=True), sort_keys=False),
        **facts.counts.model_dump(include={"clips", "frames", "sequences", "failed", "rejected"}),
    )
    return printable(text)


def _front_matter(facts: VersionFacts) -> str:
    """Writes the front matter with two configurations: frames with media, and the manifest.

    They load by `load_dataset(FOLDER OF THE VERSION, NAME)`.
    """
    spec, frames = facts.spec, facts.counts.frames
    terms = {"license": spec.dataset.license}
    if facts.license_is_url:
        terms = {"license": "other", "license_name": "custom", "license_link": spec.dataset.license}
    tree: dict[str, Any] = {
        "pretty_name": spec.dataset.title,
        **terms,
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "task_categories": ["image-segmentation", "image-to-image"],
        "tags": ["synthetic", "video", "vid2vid", "croissant"],
        "size_categories": [_SIZES[min(len(_SIZES) - 1, max(0, len(str(frames)) - 3))]],
        "provenance": {
            "source": spec.source.place,
            "label_space": f"{facts.space.name} {facts.space.version}",
            "generator": facts.settings.generator,
            "version": facts.number,
        },
    }
    return yaml.safe_dump(tree, sort_keys=False) + "configs:\n" + _configs(facts.listed)


def _configs(listed: list[str]) -> str:
    """Writes YAML of one line per data file by hand, as there may be thousands."""
    manifest = f"- config_name: manifest\n  data_files:\n  - split: published\n    path: {MANIFEST_FILE}\n"
    if not listed:
        return manifest
    files = "".join(f"    - ../../{path}\n" for path in listed)
    return f"- config_name: frames\n  default: true\n  data_files:\n  - split: published\n    path:\n{files}" + manifest


def _class_lines(facts: VersionFacts) -> list[str]:
    """Writes one table row per class."""
    pixels, frames = facts.totals.class_pixels, facts.totals.class_frames
    return [
        f"| {i} | {facts.space.by_id[i].name} | {pixels[i] / pixels.sum():.2%} | {frames[i]:,} |"
        for i in np.flatnonzero(pixels).tolist()
    ]
