"""Numbers as people read them: counts with their noun, sizes, durations."""

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
