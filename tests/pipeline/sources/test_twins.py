"""Sequences that are there twice under other names are pointed out."""

from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from flowreel.pipeline.sources.catalog import scan
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.storage import open_store
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.spec import SourceSpec


@pytest.mark.parametrize(
    ("names", "exclude", "note"),
    [
        (["a", "a (copy)"], [], "sequence 'a (copy)' looks like a copy of 'a'; if so, name it in source.exclude"),
        (["a", "a (copy)"], ["*copy*"], None),
        (["a", "b"], [], None),
        ([normalize(form, "köln") for form in ("NFC", "NFD")], [], "so they are not the same name; if both are the"),
    ],
)
def test_sequences_that_seem_to_be_there_twice(
    tmp_path: Path, names: list[str], exclude: list[str], note: str | None
) -> None:
    for name in names:
        (tmp_path / name / "labels").mkdir(parents=True)
        Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / name / "labels/0.png")
    source = SourceSpec(uri=str(tmp_path), exclude=tuple(exclude))
    catalog = scan(open_store(str(tmp_path)), source, BUILT_IN["cityscapes"], INDEX.empty_table())
    assert catalog.problems == ()
    if note is None:
        assert catalog.notes == ()
    else:
        assert [note in each for each in catalog.notes] == [True]
