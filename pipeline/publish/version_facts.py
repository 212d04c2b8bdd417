"""Facts of a version that is about to be published, from which its descriptions are written."""

from dataclasses import dataclass

import pyarrow as pa

from flowreel.pipeline.dataset.manifest_writer import Totals
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec
from flowreel.schemas.version import Counts

LISTED_FILES = 10_000  # data files that a description lists; shards.parquet lists any number


@dataclass(frozen=True)
class VersionFacts:
    """A version that is about to be published."""

    number: int
    spec: Spec
    space: LabelSpace
    settings: RenderSettings
    counts: Counts
    totals: Totals
    shards: pa.Table  # flowreel.schemas.manifest.SHARDS

    @property
    def listed(self) -> list[str]:
        """Gives the paths of its data files; [] if there are too many to list."""
        return self.shards["path"].to_pylist() if len(self.shards) <= LISTED_FILES else []

    @property
    def license_is_url(self) -> bool:
        """Tells whether the licence is a URL instead of an identifier."""
        return "://" in self.spec.dataset.license
