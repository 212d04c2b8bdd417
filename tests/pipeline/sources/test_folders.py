"""How people's files lie: flat folders, several drives in one, gaps, foreign names; which sequences come of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.sources.catalog import Catalog, scan
from flowreel.pipeline.sources.file_index import INDEX
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import SourceError
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.spec import SourceSpec

CITY = "{sequence}_*_gtFine_labelIds.png"


def put(root: Path, *paths: str) -> None:
    """Writes maps, each with an id of its own, so that a swapped file shows."""
    for i, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(encode_ids(np.full((2, 3), i % 35, np.uint8)))


def scanned(root: Path, labels: str, **source: Any) -> Catalog:
    spec = SourceSpec.model_validate({"uri": str(root), "labels": labels, **source})
    return scan(open_store(str(root)), spec, BUILT_IN["cityscapes"], INDEX.empty_table())


def frames(catalog: Catalog) -> dict[str, list[str]]:
    return {s.sequence_id: [f.name for f in s.frames] for s in catalog.sequences}


def check_paths(root: Path, catalog: Catalog) -> None:
    """The path of each frame leads to the bytes that its digest is of."""
    import hashlib

    for sequence in catalog.sequences:
        for frame in sequence.frames:
            for file in filter(None, (frame.label, frame.instance)):
                assert hashlib.sha256((root / file.path).read_bytes()).hexdigest() == file.digest, file.path


def drives(city: str = "aachen", count: int = 3, length: int = 4) -> list[str]:
    return [f"{city}/{city}_{s:06}_{t:06}_gtFine_labelIds.png" for s in range(count) for t in range(length)]


def test_drives_in_one_folder_are_never_one_video(tmp_path: Path) -> None:
    put(tmp_path, *drives())
    (problem,) = scanned(tmp_path, "{sequence}/*_gtFine_labelIds.png").problems
    assert problem == (
        "sequence 'aachen': not one recording but 3: after 'aachen_000000_000003' comes 'aachen_000001_000000';"
        f" write the template as '{CITY}', or set source.gaps: split"
    )


@pytest.mark.parametrize(
    ("names", "template", "way_out"),
    [
        (["a/x_1_7.png", "a/x_2_7.png"], "{sequence}/*.png", "'{sequence}_*.png'"),
        (["a/0000f7-62be8.png", "a/000d89-3bca7.png"], "{sequence}/*.png", "'{sequence}.png'"),
        (["a/labels/x_1_7.png", "a/labels/x_2_7.png"], "{sequence}/labels/*.png", "set source.gaps: split, which"),
        (["a/b-1.png", "a/b-2.png", "a/c-1.png"], "{sequence}/*.png", "'{sequence}-*.png'"),
    ],
)
def test_the_way_out_fits_the_names(tmp_path: Path, names: list[str], template: str, way_out: str) -> None:
    put(tmp_path, *names)
    (problem,) = scanned(tmp_path, template).problems
    assert way_out in problem
    if "split" not in way_out:
        scanned(tmp_path, way_out.strip("'")).check()
    scanned(tmp_path, template, gaps="split").check()


def test_a_sequence_may_stand_inside_file_names(tmp_path: Path) -> None:
    put(tmp_path, *drives(), *drives("ulm", 1), *(p.replace("labelIds", "instanceIds") for p in drives()))
    put(tmp_path, *(p.replace("labelIds", "instanceIds") for p in drives("ulm", 1)))
    catalog = scanned(tmp_path, CITY, instances=CITY.replace("labelIds", "instanceIds"))
    catalog.check()
    four = [f"{t:06}" for t in range(4)]
    names = ["aachen/aachen_000000", "aachen/aachen_000001", "aachen/aachen_000002", "ulm/ulm_000000"]
    assert frames(catalog) == dict.fromkeys(names, four)
    check_paths(tmp_path, catalog)


@pytest.mark.parametrize(
    ("template", "names", "expected"),
    [
        ("{sequence}_*_L.png", ["0016E5_07959_L.png", "0016E5_07961_L.png"], {"0016E5": ["07959", "07961"]}),
        ("semantic/{sequence}_*.png", ["semantic/000000_10.png", "semantic/000001_10.png"],
         {"000000": ["10"], "000001": ["10"]}),
        ("masks/{sequence}.png", ["masks/train/0f-6b.png", "masks/val/0d-3b.png"],
         {"train/0f-6b": ["0"], "val/0d-3b": ["0"]}),
        ("{sequence}-*.png", ["a/v1-0000001.png", "a/v1-0000002.png"], {"a/v1": ["0000001", "0000002"]}),
    ],
)  # fmt: skip
def test_flat_folders(tmp_path: Path, template: str, names: list[str], expected: dict[str, list[str]]) -> None:
    put(tmp_path, *names)
    catalog = scanned(tmp_path, template)
    catalog.check()
    assert frames(catalog) == expected
    check_paths(tmp_path, catalog)


def test_split_cuts_at_gaps_and_where_recordings_begin(tmp_path: Path) -> None:
    put(tmp_path, *(f"a/{t:03}.png" for t in (1, 2, 5, 6, 9)), *(f"b/x{s}_{t}.png" for s in (1, 2) for t in (1, 2)))
    catalog = scanned(tmp_path, "{sequence}/*.png", gaps="split")
    catalog.check()
    assert frames(catalog) == {
        "a": ["001", "002"], "a@005": ["005", "006"], "a@009": ["009"], "b": ["x1_1", "x1_2"],
        "b@x2_1": ["x2_1", "x2_2"],
    }  # fmt: skip
    check_paths(tmp_path, catalog)
    # Pieces of one recording share a split; another recording has its own.
    recordings = catalog.sequences.recordings
    assert recordings is not None and recordings.to_pylist() == ["a", "a", "a", "b", "b@x2_1"]


def test_hold_fills_gaps_within_a_second_and_names_others(tmp_path: Path) -> None:
    put(tmp_path, *(f"a/{t:03}.png" for t in (1, 2, 5, 6, 40)))
    put(tmp_path, *(f"i/a/{t:03}.png" for t in (1, 2, 5, 6, 40)))
    catalog = scanned(tmp_path, "{sequence}/*.png", gaps="hold", exclude=["i/*"], instances="i/{sequence}/*.png")
    assert frames(catalog) == {"a": ["001", "002", "002", "002", "005", "006", "040"]}
    (problem,) = catalog.problems
    assert problem.startswith("sequence 'a': 33 frames missing between '006' and '040'")
    check_paths(tmp_path, catalog)


def test_gapless_sources_are_the_same_whatever_gaps_says(tmp_path: Path) -> None:
    put(tmp_path, *(f"{s}/{t:03}.png" for s in "ab" for t in range(3)))
    plain, *others = (scanned(tmp_path, "{sequence}/*.png", gaps=gaps).sequences for gaps in ("error", "split", "hold"))
    assert all(other == plain and other.label_paths is None and other.recordings is None for other in others)


def test_include_exclude_and_min_frames_choose_before_anything_is_read(tmp_path: Path) -> None:
    lengths = {"train/a": 4, "train/b": 2, "val/a": 4, "val/c": 1}
    put(tmp_path, *(f"{name}/{t}.png" for name, length in lengths.items() for t in range(length)))
    (tmp_path / "val/a/2.png").write_bytes(b"broken")
    catalog = scanned(tmp_path, "{sequence}/*.png", include=["train/*", "*/c"], exclude="*/b", min_frames=2)
    catalog.check()
    assert frames(catalog) == {"train/a": ["0", "1", "2", "3"]} and catalog.read == 4
    assert not any("matches no sequence" in note for note in catalog.notes)
    assert catalog.left_out == {"source.include": 1, "source.exclude": 1, "source.min_frames": 1}


def test_orphans_of_sequences_that_are_left_out_do_not_matter(tmp_path: Path) -> None:
    put(tmp_path, "a/l/0.png", "a/i/0.png", "b/l/0.png", "b/i/0.png", "b/i/1.png", "c/i/0.png")
    templates = {"labels": "{sequence}/l/*.png", "instances": "{sequence}/i/*.png"}
    assert len(scanned(tmp_path, **templates).problems) == 2
    assert len(scanned(tmp_path, **templates, exclude="b").problems) == 1
    assert scanned(tmp_path, **templates, include="a").problems == ()


def test_pieces_are_chosen_by_their_own_name_too(tmp_path: Path) -> None:
    put(tmp_path, *(f"a/{t}.png" for t in (1, 2, 5, 6)), "b/1.png")
    split = {"gaps": "split"}
    assert list(frames(scanned(tmp_path, "{sequence}/*.png", **split, exclude="a@5"))) == ["a", "b"]
    assert list(frames(scanned(tmp_path, "{sequence}/*.png", **split, include="a"))) == ["a", "a@5"]


def test_a_pattern_that_matches_nothing_is_noted_and_nothing_left_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "a/0.png", "b/0.png")
    note = "source.exclude: 'nn*' matches no sequence, of which 'a' is one"
    assert note in scanned(tmp_path, "{sequence}/*.png", exclude=["nn*", "b"]).notes
    with pytest.raises(SourceError, match="no sequence is left of 2 sequences: source.min_frames leaves out 2"):
        scanned(tmp_path, "{sequence}/*.png", min_frames=2)


FOREIGN = {
    ".ipynb_checkpoints": ["a/.ipynb_checkpoints/000000-checkpoint.png"],
    "._*": ["a/._000000.png", "a/._000001.png"],
    "@eaDir": ["a/@eaDir/000000.png"],
    "__MACOSX": ["__MACOSX/a/000000.png"],
    ".Trash-1000": [".Trash-1000/files/b/000000.png"],
    "Thumbs.db": ["a/Thumbs.db"],
    ".DS_Store": ["a/.DS_Store", ".DS_Store"],
    "desktop.ini": ["desktop.ini"],
    "*~": ["a/000000.png~"],
    "lost+found": ["lost+found/c/000000.png"],
    "$RECYCLE.BIN": ["$RECYCLE.BIN/S-1/000000.png"],
}


def test_hidden_and_system_names_are_skipped_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "a/000000.png", "a/000001.png")
    for path in (path for paths in FOREIGN.values() for path in paths):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"\0\5\x16\7")
    catalog = scanned(tmp_path, "{sequence}/*.png", instances="{sequence}/*.png")
    catalog.check()
    assert frames(catalog) == {"a": ["000000", "000001"]}
    assert catalog.skipped == {kind: len(paths) for kind, paths in FOREIGN.items()}


def test_hidden_folders_that_the_template_names_are_not_skipped(tmp_path: Path) -> None:
    put(tmp_path, ".cache/a/.labels/.x_0.png")
    catalog = scanned(tmp_path, ".cache/{sequence}/.labels/.x_*.png")
    assert frames(catalog) == {"a": ["0"]} and catalog.skipped == {}


def test_nothing_but_hidden_names_is_said(tmp_path: Path) -> None:
    put(tmp_path, ".seq/labels/0.png")
    with pytest.raises(SourceError, match=r"skipped: 1 file with hidden or system names \(1 .seq\)"):
        scanned(tmp_path, "{sequence}/labels/*.png")


def test_endings_match_whatever_their_case(tmp_path: Path) -> None:
    put(tmp_path, "a/l/0.png", "a/l/1.PNG", "a/l/2.Png", "a/i/0.PNG", "a/i/1.png", "a/i/2.png")
    catalog = scanned(tmp_path, "{sequence}/l/*.png", instances="{sequence}/i/*.png")
    catalog.check()
    assert frames(catalog) == {"a": ["0", "1", "2"]}
    check_paths(tmp_path, catalog)


def test_two_files_for_one_frame_are_named(tmp_path: Path) -> None:
    put(tmp_path, "a/0.png", "a/0.PNG", "a/1.png")
    (problem,) = scanned(tmp_path, "{sequence}/*.png").problems
    assert problem == "a/0.PNG and a/0.png are the same frame of sequence 'a'; remove one of them"


@pytest.mark.parametrize("gaps", ["error", "split", "hold"])
def test_copies_are_named_whatever_gaps_says(tmp_path: Path, gaps: str) -> None:
    put(tmp_path, "a/0001.png", "a/0002.png", "a/0002 (1).png", "a/0003.png", "a/0003 copy.png")
    assert sorted(scanned(tmp_path, "{sequence}/*.png", gaps=gaps).problems) == [
        "a/0002 (1).png: looks like a copy of a/0002.png; remove it",
        "a/0003 copy.png: looks like a copy of a/0003.png; remove it",
    ]


def test_copies_that_would_be_sequences_are_named(tmp_path: Path) -> None:
    put(tmp_path, "train/x.png", "train/x (1).png", "train/y.png")
    (problem,) = scanned(tmp_path, "{sequence}.png").problems
    assert problem.startswith("train/x (1).png: looks like a copy of train/x.png; remove it, or name it in source.excl")
    scanned(tmp_path, "{sequence}.png", exclude="*(1)").check()


@pytest.mark.parametrize("ending", ["tif", "gif", "png"])
def test_pages_beyond_the_first_do_not_vanish(tmp_path: Path, ending: str) -> None:
    (tmp_path / "a").mkdir()
    first, second = (Image.fromarray(np.full((2, 3), i, np.uint8)) for i in (7, 11))
    first.save(tmp_path / f"a/0.{ending}", save_all=True, append_images=[second])
    (problem,) = scanned(tmp_path, f"{{sequence}}/*.{ending}").problems
    assert problem.endswith("of 2 pictures, of which one would be used; store one label map per file")


def test_a_pointer_of_git_lfs_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (tmp_path / "a/0.png").write_text(text)
    assert scanned(tmp_path, "{sequence}/*.png").problems == (
        "a/0.png: a pointer file of Git LFS, not the file itself; run `git lfs pull` where the repository was cloned",
    )


NFC, NFD = "caf\u00e9", "cafe\u0301"


def test_names_in_nfc_and_nfd_are_told_apart(tmp_path: Path) -> None:
    put(tmp_path, f"{NFC}/l/0.png", f"{NFD}/i/0.png", f"b/l/{NFC}1.png", f"b/i/{NFD}1.png")
    problems = scanned(tmp_path, "{sequence}/l/*.png", instances="{sequence}/i/*.png").problems
    told = f"its name is in Unicode's NFD, '{NFC}' in NFC, so they are not the same name"
    assert any(told in problem for problem in problems)
    assert any(told.replace(NFC, NFC + "1") in problem for problem in problems)


def test_a_template_in_the_other_form_is_told(tmp_path: Path) -> None:
    put(tmp_path, f"{NFD}/a/0.png")
    with pytest.raises(SourceError, match="its name is in Unicode's NFC, '.*' in NFD"):
        scanned(tmp_path, f"{NFC}/{{sequence}}/*.png")
