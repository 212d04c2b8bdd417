"""Numbers as people read them: counts with their noun, sizes, durations; and texts as terminals may show them."""

import re

# C0 but tab and line feed, DEL, C1; marks, embeddings and isolates of direction; separators of lines; lone surrogates
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_UNITS = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Gives a count with its noun: "1 clip", "2,048 clips", "2 children" where ``plural`` says so."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def byte_size(size: float) -> str:
    """Gives a number of bytes with three digits: "512 bytes", "3.41 MB", "1,234 TB". Units are powers of 1000."""
    if size < 1000:
        return counted(round(size), "byte")
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.5 or unit == "TB":
            break
    return f"{size:,.0f} {unit}" if size >= 99.95 else f"{size:.3g} {unit}"


def duration(seconds: float) -> str:
    """Gives a time in its two largest units: "under a second", "40 s", "2 h 5 min", "3 days"."""
    whole = round(seconds)
    if whole < 1:
        return "under a second"
    place = next(i for i, (length, _) in enumerate(_UNITS) if whole >= length)
    length, unit = _UNITS[place]
    if unit == "s":
        return f"{whole} s"
    below, below_unit = _UNITS[place + 1]
    many, rest = divmod(round(whole / below), length // below)
    text = counted(many, unit) if unit == "day" else f"{many} {unit}"
    return f"{text} {rest} {below_unit}" if rest else text


def printable(text: str) -> str:
    """Gives a text whose control characters, and those that turn the direction of text, are spelled out: `\\x1b`.

    Line feeds and tabs stay. For terminals, logs and pages, which such characters in names would write to or forge.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Gives a name from a listing as a part of a line: `printable`, and without line feeds."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
