"""Damages tables and JSON records in the ways that crafted and half-written datasets differ from good ones."""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = (-1, 0, 1, 2, 7, 255, 65_536, 2**31 - 1, -(2**31), 2**62, -0.5, 1e300, 3e38, float("nan"), float("inf"))
TEXTS = (
    "",
    "../../x",
    "a/b",
    "data/../../x.parquet",
    "\x1b[31mred",
    "x" * 5000,
    "data/" + "0" * 32 + ".parquet",
    "\u202e",
)
JUNK: tuple[Any, ...] = (
    None,
    -1,
    0,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../../x",
    [],
    {},
    [None],
    {"a": 1},
    True,
    0.5,
)


Edit = Callable[[int, pa.Table], pa.Table | None]  # of a row group, by its number


@dataclass(frozen=True)
class Change:
    """A table with something wrong in it."""

    table: pa.Table
    what: str
    columns: tuple[str, ...] = ()  # that differ; empty: the rows themselves


def damaged_table(table: pa.Table, rng: random.Random) -> Change:
    """Changes a value, a column or the rows."""
    if not len(table):
        return rng.choice((_drop_column, _retype))(table, rng)
    some = (_value, _value, _value, _value, _drop_column, _retype, _all_null, _swap, _drop_row, _double_row, _empty)
    return rng.choice(some)(table, rng)


def _value(table: pa.Table, rng: random.Random) -> Change:
    """Sets one value to something that the column's type allows."""
    name = rng.choice(table.column_names)
    kind, row = table.schema.field(name).type, rng.randrange(len(table))
    values = table[name].to_pylist()
    old = values[row]
    values[row] = new = _other(kind, old, rng)
    try:
        column = pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        values[row] = new = None
        column = pa.array(values, kind)
    at = table.schema.get_field_index(name)
    # NaN is unlike NaN: what was one before is never taken for changed
    return Change(table.set_column(at, table.schema.field(name), column), f"{name}[{row}] = {str(new)[:60]}", (name,))


def _other(kind: pa.DataType, old: Any, rng: random.Random) -> Any:
    if rng.random() < 0.2:
        return None
    if pa.types.is_floating(kind):
        return float(rng.choice(NUMBERS))
    if pa.types.is_integer(kind):
        return rng.choice([int(n) for n in NUMBERS if n == n and abs(n) < 2**63])
    if pa.types.is_list(kind):
        items = list(old or [])
        return rng.choice(([], [*items, None], items[1:], [*items, *items], [_other(kind.value_type, None, rng)]))
    if pa.types.is_struct(kind):
        return {f.name: _other(f.type, (old or {}).get(f.name), rng) for f in kind}
    if pa.types.is_binary(kind):
        return rng.choice((b"", b"<html>", (old or b"")[:-5], b"\0" * 100))
    return rng.choice(TEXTS)


def _drop_column(table: pa.Table, rng: random.Random) -> Change:
    name = rng.choice(table.column_names)
    return Change(table.drop_columns([name]), f"without {name}", (name,))


def _retype(table: pa.Table, rng: random.Random) -> Change:
    name = rng.choice(table.column_names)
    kind = rng.choice((pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.list_(pa.int32())))
    if kind.equals(table.schema.field(name).type):
        kind = pa.binary()
    at = table.schema.get_field_index(name)
    column: Any = pa.nulls(len(table), kind)
    if kind == pa.string():
        column = pa.array([str(value) for value in table[name].to_pylist()], kind)
    return Change(table.set_column(at, name, column), f"{name} is {kind}", (name,))


def _all_null(table: pa.Table, rng: random.Random) -> Change:
    name = rng.choice(table.column_names)
    at = table.schema.get_field_index(name)
    field = table.schema.field(name)
    return Change(table.set_column(at, field, pa.nulls(len(table), field.type)), f"{name} all null", (name,))


def _swap(table: pa.Table, rng: random.Random) -> Change:
    order = list(range(len(table)))
    rng.shuffle(order)
    return Change(table.take(pa.array(order)), "rows shuffled")


def _drop_row(table: pa.Table, rng: random.Random) -> Change:
    row = rng.randrange(len(table))
    return Change(pa.concat_tables([table.slice(0, row), table.slice(row + 1)]), f"without row {row}")


def _double_row(table: pa.Table, rng: random.Random) -> Change:
    row = rng.randrange(len(table))
    return Change(pa.concat_tables([table.slice(0, row + 1), table.slice(row)]), f"row {row} twice")


def _empty(table: pa.Table, rng: random.Random) -> Change:
    return Change(table.slice(0, 0), "no rows")


def damaged_tree(tree: Any, rng: random.Random) -> tuple[Any, str]:
    """Sets one field of a JSON tree to something else, or removes or adds one; says which."""
    tree = json.loads(json.dumps(tree))
    node, path = tree, list[str]()
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return rng.choice(JUNK), ".".join(path)
        key = rng.choice(keys)
        path.append(str(key))
        deeper = isinstance(node[key], (dict, list)) and node[key]
        if deeper and rng.random() < 0.75:
            node = node[key]
            continue
        action = rng.random()
        if action < 0.15:
            del node[key]
            return tree, ".".join(path) + " removed"
        if action < 0.2 and isinstance(node, dict):
            node["unheard_of"] = 1
            return tree, ".".join(path[:-1]) + " has an unknown field"
        node[key] = new = rng.choice(JUNK)
        return tree, f"{'.'.join(path)} = {new!r}"


def rewritten(data: bytes, change: Edit, footer: dict[bytes, bytes | None]) -> bytes:
    """Writes a Parquet file again: ``change`` gives each row group anew, or None to leave it out; ``footer``: keys to
    set, or to remove (None)."""
    old = pq.ParquetFile(pa.BufferReader(data))
    groups = [change(g, old.read_row_group(g)) for g in range(old.num_row_groups)]
    kept = [group for group in groups if group is not None]
    sink = pa.BufferOutputStream()
    schema = kept[0].schema if kept else old.schema_arrow
    extra = {k: v for k, v in (old.metadata.metadata or {}).items() if k.startswith(b"flowreel.")} | footer
    with pq.ParquetWriter(sink, schema) as writer:
        for group in kept:
            writer.write_table(group.cast(schema), row_group_size=max(1, len(group)))
        writer.add_key_value_metadata({k: v for k, v in extra.items() if v is not None})
    return sink.getvalue().to_pybytes()


def footer_table(data: bytes, key: bytes) -> pa.Table:
    """A table in a data file's footer."""
    raw = pq.read_metadata(pa.BufferReader(data)).metadata[key]
    return pa.ipc.open_stream(base64.b64decode(raw)).read_all()


def as_footer(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return base64.b64encode(sink.getvalue().to_pybytes())
