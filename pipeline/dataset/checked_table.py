"""Checks tables as they are read from a dataset: a damaged or crafted file ends in a sentence that names the file, the
column, the row and the value.

Checks are of whole columns, by Arrow: some milliseconds for the 65,536 rows of a manifest's row group.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.parquet import read_parquet
from flowreel.schemas.errors import IntegrityError, StorageError
from flowreel.schemas.rules import Rule

STEP = "restore the file, or publish the dataset again"
SHOWN = 60  # characters of a value
Rules = Mapping[str, Rule]


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Turns what Arrow raises for a damaged file (flipped bits: an OSError) into IntegrityError."""
    try:
        yield
    except (IntegrityError, StorageError):
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError, MemoryError) as error:
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise IntegrityError(f"{url}: damaged: {text}; {STEP}") from None


def read_checked(data: bytes, url: str, schema: pa.Schema, rules: Rules, columns: list[str] | None = None) -> pa.Table:
    """Reads a small Parquet file of a dataset as a whole. Raises IntegrityError for whatever is not as ``schema`` and
    ``rules`` say."""
    with reading(url):
        table = read_parquet(data)
    check_columns(table.schema, url, schema, rules)
    known = [name for name in columns or table.column_names if name in table.column_names]
    table = table.select(known)
    check_values(table, url, rules)
    return table


def check_columns(found: pa.Schema, url: str, schema: pa.Schema, rules: Rules) -> None:
    """Checks that a file has the columns of ``schema``, but for optional ones, each of its type.

    Raises IntegrityError at the first difference; columns beside them are ignored.
    """
    if found.equals(schema):
        return
    for field in schema:
        count = found.names.count(field.name)
        if count > 1 or (not count and not rules[field.name].optional):
            raise IntegrityError(f"{url}: column {field.name}: {'there twice' if count else 'missing'}; {STEP}")
        if count and not _plain(found.field(field.name).type).equals(field.type):
            kind = found.field(field.name).type
            raise IntegrityError(f"{url}: column {field.name}: values are {kind}, must be {field.type}; {STEP}")


def check_values(table: pa.Table, url: str, rules: Rules, first: int = 0) -> None:
    """Checks the values of a table's columns. ``first``: number in the file of its first row, for messages.

    Raises IntegrityError at the first that is missing, no text, not finite, out of bounds or of another form.
    """
    with reading(url):
        table.validate(full=True)  # texts that are none, offsets that lead elsewhere
        for name in table.column_names:
            if name in rules:
                _check_column(table[name], rules[name], f"{url}: column {name}", first)
        if "class_ids" in table.column_names and "class_pixels" in table.column_names:
            _check_classes(table, url, first)


def raise_at(where: str, row: int, value: Any, bound: str) -> None:
    """Raises IntegrityError for one value: ``where`` names file and column, ``bound`` what it must be."""
    text = repr(value)
    shown = text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
    raise IntegrityError(f"{where}, row {row:,}: {shown}, must be {bound}; {STEP}")


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_column(column: pa.ChunkedArray, rule: Rule, where: str, first: int) -> None:
    """Checks one column. Raises IntegrityError at the first value that breaks its rule."""
    if column.null_count and not rule.null:
        raise_at(where, first + _first(pc.is_null(column)), None, "given")
    kind = column.type
    if pa.types.is_list(kind) and not pa.types.is_struct(kind.value_type):
        _check_lists(column, rule, where, first)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if (bad := _first_number(column, rule)) is not None:
            raise_at(where, first + bad, column[bad].as_py(), _bound(rule, column[bad].as_py()))
    elif rule.pattern:
        _check_texts(column, rule, where, first)


def _check_lists(column: pa.ChunkedArray, rule: Rule, where: str, first: int) -> None:
    """Checks the values in lists."""
    for chunk in column.chunks:
        inner = chunk.flatten()
        bad = _first(pc.is_null(inner)) if inner.null_count else None
        if bad is None and (pa.types.is_integer(inner.type) or pa.types.is_floating(inner.type)):
            bad = _first_number(pa.chunked_array([inner]), rule)
        if bad is not None:
            row = pc.list_parent_indices(chunk)[bad].as_py()
            raise_at(where, first + row, inner[bad].as_py(), _bound(rule, inner[bad].as_py()))
        first += len(chunk)


def _first_number(column: pa.ChunkedArray, rule: Rule) -> int | None:
    """Finds the first number that is not finite or out of bounds; None if there is none."""
    wrong = []
    if pa.types.is_floating(column.type):
        extremes = pc.min_max(column)  # ignores NaN, shows infinity
        finite = all(v is None or math.isfinite(v) for v in extremes.as_py().values())
        if not finite or pc.any(pc.is_nan(column)).as_py():
            wrong.append(pc.invert(pc.is_finite(column)))
    if rule.low is not None or rule.high is not None:
        low, high = pc.min_max(column).as_py().values()
        if low is not None and rule.low is not None and low < rule.low:
            wrong.append(pc.less(column, _scalar(rule.low, column.type)))
        if high is not None and rule.high is not None and high > rule.high:
            wrong.append(pc.greater(column, _scalar(rule.high, column.type)))
    return min((_first(mask) for mask in wrong), default=None)


def _scalar(bound: float, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(float(bound) if pa.types.is_floating(kind) else int(bound), kind)


def _check_texts(column: pa.ChunkedArray, rule: Rule, where: str, first: int) -> None:
    """Checks the form of texts: of each that differs once, as most occur often."""
    distinct = pc.unique(column)
    texts = distinct.dictionary if isinstance(distinct, pa.DictionaryArray) else distinct
    matches = pc.match_substring_regex(texts, pattern=rf"\A(?:{rule.pattern})\z")
    if pc.all(matches).as_py() is False:
        for bad in texts.filter(pc.invert(matches)).to_pylist():
            plain = column.cast(pa.string())
            rows = np.flatnonzero(pc.equal(plain, bad).fill_null(False).to_numpy())
            if len(rows):  # a dictionary may hold what no row uses
                raise_at(where, first + int(rows[0]), bad, rule.shown)


def _check_classes(table: pa.Table, url: str, first: int) -> None:
    """Checks that a frame's classes rise and that each has a number of pixels."""
    ids, pixels = (table[name].combine_chunks() for name in ("class_ids", "class_pixels"))
    count, others = (pc.list_value_length(column).to_numpy() for column in (ids, pixels))
    if len(bad := np.flatnonzero(count != others)):
        row = int(bad[0])
        raise_at(
            f"{url}: column class_pixels", first + row, pixels[row].as_py(), f"{count[row]} values, as class_ids has"
        )
    flat, parent = ids.flatten().to_numpy(), pc.list_parent_indices(ids).to_numpy()
    falls = np.flatnonzero((np.diff(flat) <= 0) & (np.diff(parent) == 0))
    if len(falls):
        row = int(parent[falls[0]])
        raise_at(f"{url}: column class_ids", first + row, ids[row].as_py(), "rising ids")


def _first(mask: pa.ChunkedArray | pa.Array) -> int:
    """Gives the first row where a mask is true."""
    return int(np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False))[0])


def _bound(rule: Rule, value: Any) -> str:
    """Words what a value must be."""
    if value is None:
        return "given"
    if math.isfinite(value) and rule.low is not None and rule.high is not None:
        return f"{rule.low:,} to {rule.high:,}"
    return "a finite number"
