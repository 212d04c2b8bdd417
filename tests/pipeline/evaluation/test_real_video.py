"""Real sequences with their label maps: from folders and specs, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from flowreel.pipeline.evaluation.real_video import open_data
from flowreel.schemas.errors import SourceError, UsageError

from .real_data import SIZE


def test_label_maps_without_a_real_frame_are_named(paired: Path) -> None:
    (paired / "seq_01/images/000002.jpg").unlink()
    with pytest.raises(SourceError, match="'seq_01': no image for 1 of 4 label maps, first '000002'"):
        open_data(str(paired))


def test_a_specs_source_may_remap_labels(tmp_path: Path, paired: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"source: {{uri: {paired}, remap: {{7: sidewalk, others: keep}}, fps: 15}}\n")
    plain, mapped = open_data(str(paired)), open_data(str(spec))
    before, after = (d.read(["seq_00"], SIZE)[0].label_THW for d in (plain, mapped))
    assert np.array_equal(np.where(before == 7, 8, before), after) and (before == 7).any()
    assert mapped.fps == 15
    spec.write_text("sources: {}\n")
    with pytest.raises(UsageError, match="no `source:` in it"):
        open_data(str(spec))
