"""Matches paths with templates such as ``{sequence}/labels/*.png``: which files are frames of which sequence."""

import re
from dataclasses import dataclass
from functools import cached_property

from flowreel.schemas.template import ONLY_FRAME, SEQUENCE


@dataclass(frozen=True)
class Template:
    """A path pattern below the source's root: {sequence} is some text, slashes included; * is what names the frame.

    Endings such as .png match whatever their case.
    """

    text: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        start, dot, ending = self.text.rpartition(".")
        if not dot or re.search(r"[*{}/]", ending):
            start, dot, ending = self.text, "", ""
        # Where the frame stands before the sequence in a file's name, folders can no longer belong to the sequence.
        sequence = "[^/]+" if self.names_frames and self.text.rfind("*") < self.text.find(SEQUENCE) else ".+"
        text = re.escape(start).replace(re.escape(SEQUENCE), f"(?P<sequence>{sequence})")
        if self.names_frames:
            text = "(?P<frame>[^/]*)".join(text.rsplit(re.escape("*"), 1))  # one before it is part of containers' names
        text += re.escape(dot)
        return re.compile(text + (f"(?i:{re.escape(ending)})" if ending else ""))

    @property
    def columns_pattern(self) -> str:
        """Gives the pattern for `pyarrow.compute.extract_regex`, in RE2's syntax: columns `sequence` and, where the
        template has one, `frame`."""
        return rf"\A(?:{self._pattern.pattern})\z"

    @property
    def names_frames(self) -> bool:
        """Tells whether files are frames of sequences; else each file is a sequence of its own."""
        return "*" in self.text.rpartition("/")[2]

    def match(self, path: str) -> tuple[str, str] | None:
        """Splits a path into (sequence, frame name); None if it is no frame."""
        found = self._pattern.fullmatch(path)
        return (found["sequence"], found["frame"] if self.names_frames else ONLY_FRAME) if found else None

    @property
    def ending(self) -> str:
        """Gives what all paths that match end with, but for the case of letters."""
        return re.split(r"[*}]", self.text)[-1]

    @property
    def prefix(self) -> str:
        """Gives the folder below which all matches lie, where listing starts."""
        return re.split(r"\{sequence\}|\*", self.text)[0].rpartition("/")[0]


def natural(text: str) -> list[tuple[int, int | str]]:
    """Gives a sort key by which frame2 comes before frame10."""
    return [(0, int(part)) if part[0] in "0123456789" else (1, part) for part in re.split(r"([0-9]+)", text) if part]
