"""Templates such as ``{sequence}/labels/*.png``, which say which files are frames of which sequence."""

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Template:
    """A path pattern below the source's root: {sequence} is one or more path parts, * what names the frame."""

    text: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        before, _, after = self.text.rpartition("*")  # one before it is part of containers' names
        start = re.escape(before).replace(re.escape("{sequence}"), "(?P<sequence>.+)")
        return re.compile(f"{start}(?P<frame>[^/]*){re.escape(after)}")

    @property
    def columns_pattern(self) -> str:
        """Gives the pattern for `pyarrow.compute.extract_regex`, in RE2's syntax: columns `sequence` and `frame`."""
        return rf"\A(?:{self._pattern.pattern})\z"

    def match(self, path: str) -> tuple[str, str] | None:
        """Splits a path into (sequence, frame name); None if it is no frame."""
        found = self._pattern.fullmatch(path)
        return (found["sequence"], found["frame"]) if found else None

    @property
    def prefix(self) -> str:
        """Gives the folder below which all matches lie, where listing starts."""
        parts = self.text.split("/")
        varied = (i for i, part in enumerate(parts) if "{sequence}" in part or "*" in part)
        return "/".join(parts[: next(varied)])


def natural(text: str) -> list[tuple[int, int | str]]:
    """Gives a sort key by which frame2 comes before frame10."""
    return [(0, int(part)) if part[0] in "0123456789" else (1, part) for part in re.split(r"([0-9]+)", text) if part]


def number_of(name: str) -> tuple[str, int] | None:
    """Splits a frame name into (what stands before, its last number); None if it has no number."""
    found = re.fullmatch(r"(.*?)([0-9]+)[^0-9]*", name)
    return (found[1], int(found[2])) if found else None
