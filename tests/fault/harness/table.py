"""What became of faults as a Markdown table."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray

from tests.fault.harness.world import Row

BEGIN, END = "<!-- tests/fault/harness: the table -->", "<!-- end -->"
HEAD = (
    "fault | injected | commands | clips published | failed | lost | duplicated | differing | rendered again"
    " | half-written files seen | hanging | exit codes | files and manifest as undisturbed"
)


def markdown(rows: Sequence[Row]) -> str:
    """The table, its sums, and what clips that failed gave as reasons."""
    count = len(HEAD.split(" | "))
    lines = [f"| {HEAD} |", "|" + " --- |" * count]
    lines += [_line(row) for row in rows]
    total = sum(row.injected for row in rows)
    counted = ("lost", "duplicated", "differing", "again", "hanging", "undocumented")
    bad = {name: sum(getattr(row, name) for row in rows) for name in counted}
    clips, versions = sum(row.clips for row in rows), sum(row.versions for row in rows)
    about = (
        f"**{total} faults injected**, {clips:,} clips published in {versions} versions by"
        f" {sum(row.commands for row in rows)} commands; {bad['lost']} lost, {bad['duplicated']} duplicated,"
        f" {bad['differing']} differing, {bad['again']} rendered again, {bad['hanging']} hanging,"
        f" {bad['undocumented']} exit codes that are not documented. Ray {ray.__version__}, Python"
        f" {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}."
    )
    reasons = [f"- {row.fault}: {row.note}" for row in rows if row.note]
    reasons += [f"- {row.fault}: `{row.failed[0]}`" for row in rows if row.failed]
    return "\n".join([about, "", *lines, "", *reasons, ""])


def _line(row: Row) -> str:
    files = "n/a" if not row.versions else "yes" if row.identical else "all other clips" if row.failed else "**no**"
    cells = [row.fault, row.injected, row.commands, row.clips, len(row.failed), row.lost, row.duplicated]
    codes = ", ".join(f"{code} ({count})" for code, count in sorted(row.codes.items(), key=lambda item: int(item[0])))
    codes += f"; **{row.undocumented} undocumented**" if row.undocumented else ""
    cells += [row.differing, row.again, row.half_written, row.hanging, codes or "n/a", files]
    return "| " + " | ".join(map(str, cells)) + " |"


def _stored(row: Row) -> dict[str, Any]:
    return asdict(row) | {"allowed": sorted(row.allowed)}


class Kept:
    """Rows by kind; those of kinds that are not run now come from a JSON file, if there is one."""

    def __init__(self, place: Path | None) -> None:
        self._place, self._rows = place, dict[str, Row]()
        if place and place.exists():
            self._rows = {kind: Row(**row) for kind, row in json.loads(place.read_text()).items()}

    def add(self, kind: str, row: Row) -> list[Row]:
        """All rows, after this one has taken the place of that of its kind."""
        self._rows[kind] = row
        if self._place:
            self._place.write_text(json.dumps({name: _stored(found) for name, found in self._rows.items()}))
        return [*self._rows.values()]
