"""A real dataset of two versions with an unfinished run, and seeded damage to copies of it."""

import base64
import io
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from flowreel.pipeline.dataset.runs import records, summary
from flowreel.pipeline.dataset.runs.lease import RUNS
from flowreel.pipeline.dataset.versions import FAILURES_FILE, LINEAGE_FILE, MANIFEST_FILE, RECORD, SHARDS_FILE
from flowreel.schemas.lineage import SOURCES_KEY
from flowreel.schemas.manifest import ROWS_KEY
from flowreel.schemas.outcome import DataFile, Failed, Rejected, ShardOutcome
from flowreel.schemas.run import RunSummary
from tests.support.local_run import LocalRun

from .promises import equal_rows, named_files, promise, promise_data
from .table_damage import as_footer, damaged_table, damaged_tree, footer_table, rewritten

PLAN = "f" * 32
TABLES = (MANIFEST_FILE, MANIFEST_FILE, MANIFEST_FILE, SHARDS_FILE, LINEAGE_FILE, FAILURES_FILE)
# What nothing else says: a change of these that looks right cannot be told from the truth.
UNTOLD = {FAILURES_FILE: {"sequence_id", "variant", "start", "frames", "reason", "error", "attempts", "thumbnail"},
          LINEAGE_FILE: {"since"}}  # fmt: skip
# A JPEG whose pixels changed is still one, and so is another map of instances.
_UNSEEN = (("image", "flipped"), ("image", "cut"), ("image", "="), ("instance", "other ids"))
UNSEEN = tuple(f"{column}[{row}] {kind}" for column, kind in _UNSEEN for row in range(9))
PROMISES = ("number", "counts", "files", "label_space.name", "settings.size", "settings.generator")


@dataclass(frozen=True)
class Damaged:
    """What was done to a copy."""

    what: str
    must_show: bool  # a verdict of "whole" is wrong
    version: int = 2  # that the verdict is of


def make(run: LocalRun) -> Path:
    """Publishes two versions, and leaves a run unfinished."""
    run.publish(run.prepare())
    label = sorted(run.source.rglob("labels/*.png"))[-1]
    ids_HW = np.asarray(Image.open(label)).copy()
    ids_HW[:4] = 11
    Image.fromarray(ids_HW).save(label)
    prepared = run.prepare()
    outcomes = run.render(prepared)
    run.publish(prepared, outcomes)
    dataset = prepared.job.dataset
    for outcome in outcomes:
        records.save_outcome(dataset, PLAN, outcome)
    lost = (Rejected("e" * 32, "blurred", base64.b64encode(b"x").decode()), Failed("d" * 32, "no", "Traceback", 2))
    records.save_outcome(dataset, PLAN, ShardOutcome("c" * 32, DataFile(f"data/{'b' * 32}.parquet", 3, "a" * 64), lost))
    records.save_run(dataset, prepared.plan, {"started": "2026-01-01T00:00:00+00:00", "host": "here"})
    shutil.copy(run.dataset / "runs" / prepared.plan.plan_id / "run.json", run.dataset / "runs" / PLAN / "run.json")
    dataset.write(f"{RUNS}/{'1' * 32}.json", json.dumps({"beat": 1, "plan_ids": [PLAN], "files": []}).encode())
    figures: dict[str, Any] = {"workers": 1, "worker_seconds": 2.0, "frames": 9, "clips": {}, "losses": {}, "bytes": 5}
    summary.save(dataset, RunSummary(
        plan_id=PLAN, dataset=dataset.uri, started="2026-01-01T00:00:00+00:00", seconds=1.5, host="here", exit=0,
        version=2, published=True, settings=prepared.plan.settings, num_gpus=0.0, num_cpus=2, stage_seconds={},
        **figures,
    ))  # fmt: skip
    return run.dataset


def damage(root: Path, seed: int) -> Damaged:
    """Damages a copy in one way that follows from the seed."""
    rng = random.Random(seed)
    kinds = (_table, _table, _table, _data_file, _data_file, _footer, _version_record, _other_record, _bytes, _missing)
    return rng.choice(kinds)(root, rng)


def _version(root: Path, rng: random.Random) -> Path:
    return root / "versions" / rng.choice(("000001", "000002", "000002"))


def _table(root: Path, rng: random.Random) -> Damaged:
    """Changes a table beside version.json, which mostly promises the new bytes."""
    folder, name = _version(root, rng), rng.choice(TABLES)
    place = folder / name
    old = pq.read_table(place)
    change = damaged_table(old, rng)
    pq.write_table(change.table, place, compression="zstd")
    promised = rng.random() < 0.85
    if promised:
        promise(folder)
    same = change.table.equals(old) if change.table.schema.equals(old.schema) else False
    told = not change.columns or not set(change.columns) <= UNTOLD.get(name, set())
    if not change.columns and name in (FAILURES_FILE, SHARDS_FILE) and "shuffled" in change.what:
        told = False  # order says nothing there
    shows = not promised or (told and not same)
    return Damaged(f"{folder.name}/{name}: {change.what}, promised {promised}", shows, int(folder.name))


def _data_file(root: Path, rng: random.Random) -> Damaged:
    """Changes a row group of a data file; shards.parquet and version.json promise the new bytes."""
    file = rng.choice(sorted((root / "data").iterdir()))
    data, group, said = file.read_bytes(), 0, ["without its row group"]

    def change(number: int, rows: pa.Table) -> pa.Table | None:
        if number != group:
            return rows
        if rng.random() < 0.1:
            return None
        found = damaged_table(rows, rng) if rng.random() < 0.4 else None
        said[0] = found.what if found else ""
        return found.table if found else _other_media(rows, rng, said)

    try:
        new = rewritten(data, change, {})
    except (pa.ArrowException, ValueError):  # row groups of one file cannot differ in type
        new = data[:-9]
        said[0] = "cut short"
    file.write_bytes(new)
    promise_data(root)
    manifest = pq.read_table(root / "versions/000002" / MANIFEST_FILE).to_pylist()
    named = {row["row_group"] for row in manifest if row["shard"] == f"data/{file.name}"}
    whole_file = said[0].startswith(("without", "cut short"))
    shows = (group in named or (whole_file and named)) and not equal_rows(data, new) and not said[0].startswith(UNSEEN)
    return Damaged(f"data/{file.name}, group {group}: {said[0]}", bool(shows))


def _other_media(rows: pa.Table, rng: random.Random, said: list[str]) -> pa.Table:
    """Puts other bytes, or another path, into one cell."""
    column, row = rng.choice(("image", "label", "label", "instance")), rng.randrange(len(rows))
    cells = rows[column].to_pylist()
    good = (cells[row] or {}).get("bytes") or b""
    flipped = bytearray(good or b"x")
    flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    path = (cells[row] or {}).get("path")
    kinds: dict[str, Any] = {
        "flipped": {"bytes": bytes(flipped), "path": path}, "cut": {"bytes": good[:-20], "path": path},
        "html": {"bytes": b"<html><script>alert(1)</script></html>", "path": "a.html"},
        "path html": {"bytes": good, "path": "a.html"}, "path out": {"bytes": good, "path": "../../x.png"},
        "null": None, "null bytes": {"bytes": None, "path": path}, "empty": {"bytes": b"", "path": path},
        "small": {"bytes": picture((8, 4), "L"), "path": path},
        "colour": {"bytes": picture((64, 32), "RGB"), "path": path},
        "other ids": {"bytes": picture((64, 32), "L", 7), "path": path},
    }  # fmt: skip
    name = rng.choice(list(kinds))
    cells[row] = kinds[name]
    said[0] = f"{column}[{row}] {name}"
    at = rows.schema.get_field_index(column)
    return rows.set_column(at, rows.schema.field(column), pa.array(cells, rows.schema.field(column).type))


def picture(size: tuple[int, int], mode: str, fill: int = 0) -> bytes:
    sink = io.BytesIO()
    Image.new(mode, size, fill if mode == "L" else (fill, 0, 0)).save(sink, "PNG")
    return sink.getvalue()


def _footer(root: Path, rng: random.Random) -> Damaged:
    """Changes what a data file says of itself in its footer."""
    file = rng.choice(sorted((root / "data").iterdir()))
    data, key = file.read_bytes(), rng.choice((ROWS_KEY, SOURCES_KEY))
    kind, what = rng.random(), ""
    value: bytes | None
    if kind < 0.15:
        value, what = None, "removed"
    elif kind < 0.3:
        value, what = b"not base64 !!", "no base64"
    else:
        change = damaged_table(footer_table(data, key), rng)
        value, what = as_footer(change.table), change.what
    file.write_bytes(rewritten(data, lambda _, rows: rows, {key: value}))
    promise_data(root)
    return Damaged(f"data/{file.name}, footer {key.decode()}: {what}", False)


def _version_record(root: Path, rng: random.Random) -> Damaged:
    """Changes a field of version.json."""
    place = _version(root, rng) / RECORD
    old = json.loads(place.read_text())
    tree, what = damaged_tree(old, rng)
    place.write_text(json.dumps(tree))
    same = json.dumps(tree) == json.dumps(old)
    told = what.startswith(PROMISES) and not same
    return Damaged(f"{place.parent.name}/{RECORD}: {what}", told, int(place.parent.name))


def _other_record(root: Path, rng: random.Random) -> Damaged:
    """Changes a field of a record of a run."""
    place = rng.choice(sorted((root / "runs").rglob("*.json")))
    tree, what = damaged_tree(json.loads(place.read_text()), rng)
    place.write_text(json.dumps(tree))
    return Damaged(f"{place.relative_to(root)}: {what}", False)


def _bytes(root: Path, rng: random.Random) -> Damaged:
    """Flips, cuts or inserts bytes anywhere in a file; nothing promises them."""
    files = [f for f in sorted(root.rglob("*")) if f.is_file() and "report" not in f.parts]
    place = rng.choice(files)
    data = bytearray(place.read_bytes())
    at = rng.randrange(len(data))
    kind = rng.choice(("flip", "cut", "insert", "empty", "zeros"))
    if kind == "flip":
        data[at] ^= 1 << rng.randrange(8)
    new = {"cut": data[:at], "insert": data[:at] + b"\xff\0NaN" + data[at:], "empty": b"", "zeros": b"\0" * 64}
    place.write_bytes(bytes(new.get(kind, data)))
    covered = place.parent.name == "000002" and place.name != RECORD
    covered |= place.parent.name == "data" and f"data/{place.name}" in named_files(root / "versions/000002")
    return Damaged(f"{place.relative_to(root)}: {kind} at {at}", covered)


def _missing(root: Path, rng: random.Random) -> Damaged:
    """Removes a file, or puts a folder in its place."""
    files = [f for f in sorted(root.rglob("*")) if f.is_file() and "report" not in f.parts]
    place = rng.choice(files)
    used = place.parent.name == "data" and f"data/{place.name}" in named_files(root / "versions/000002")
    used |= place.parent.name == "000002" and place.name != RECORD
    place.unlink()
    folder = rng.random() < 0.4
    if folder:
        place.mkdir()
    return Damaged(f"{place.relative_to(root)}: {'a folder' if folder else 'missing'}", used)
