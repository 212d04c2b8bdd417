"""The edge at which texts leave a command: what names and records hold writes no terminal, and shows no secret."""

import sys
from typing import Any, TextIO

from flowreel.schemas.secrets import hide_secrets
from flowreel.schemas.wording import printable


class SafeStream:
    """A text stream that spells control characters out, and hides secrets if ``hide``; else as the stream below."""

    def __init__(self, stream: TextIO, hide: bool) -> None:
        self.rich_proxied_file = stream  # where rich draws its bars, which are control characters; by this name
        self._hide = hide

    def write(self, text: str) -> int:
        """Writes a text as it may be shown, and gives its length. Raises TypeError for bytes."""
        shown = printable(text)
        self.rich_proxied_file.write(hide_secrets(shown) if self._hide else shown)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Writes several texts."""
        for text in lines:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def guard_output() -> None:
    """Makes all that this process prints from now on safe to show. Data on stdout keep what looks like a secret."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, SafeStream):  # None: closed
            setattr(sys, name, SafeStream(stream, hide=name == "stderr"))
