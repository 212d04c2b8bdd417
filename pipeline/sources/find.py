"""Opens a spec's source of any kind, and finds its sequences."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from flowreel.pipeline.sources.catalog import Catalog, Progress, scan
from flowreel.pipeline.sources.encodings import MapDecoder
from flowreel.pipeline.sources.keypoint_catalog import scan_points
from flowreel.pipeline.sources.procedural import procedural_catalog
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.source import SourceSpec


def open_source(source: SourceSpec, options: Mapping[str, Any] | None = None) -> Store | None:
    """Opens the store of a source's files; None for procedural scenes, which have none."""
    return None if source.procedural else open_store(source.uri, options)


def find_sequences(
    store: Store | None,
    source: SourceSpec,
    space: LabelSpace,
    known: pa.Table,
    size: tuple[int, int],
    progress: Progress | None = None,
    decoder: MapDecoder | None = None,
) -> Catalog:
    """Lists and checks a source; see `catalog.scan`. ``size``: width, height that frames are rendered at."""
    if source.procedural:
        return procedural_catalog(source.procedural, size)
    assert store is not None
    if source.kind in ("pose", "face"):
        return scan_points(store, source, known, size, progress)
    return scan(store, source, space, known, progress, decoder)
