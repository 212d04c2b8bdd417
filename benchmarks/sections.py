"""Sections of a Markdown file that commands write."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

README = Path(__file__).parent / "README.md"


def put(place: Path, text: str, markers: tuple[str, str]) -> None:
    """Puts text between the markers of a file; a file that is not there yet is made of it."""
    begin, end = markers
    before, found, rest = (place.read_text() if place.exists() else f"{begin}\n{end}\n").partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"{place}: no {begin} with {end} behind it; add them where the text belongs")
    place.write_text(f"{before}{begin}\n{text}{end}{rest.partition(end)[2]}")


def put_section(place: Path, name: str, text: str) -> None:
    """`put`, with the markers of ``name``; a section that is missing comes to the end, as in a new file."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = place.read_text() if place.exists() else "# Benchmarks\n"
    if begin not in old:
        place.write_text(f"{old.rstrip()}\n\n{begin}\n{end}\n")
    put(place, f"{text.strip()}\n", (begin, end))


def circumstances() -> str:
    """Date, commit and machine."""
    cpus = f"{_cpu()}, {os.cpu_count()} CPUs"
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {cpus}, Python {platform.python_version()}"


def commit() -> str:
    """Of the code that runs; says where files differ from it."""
    command = ["git", "-C", str(README.parent), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _cpu() -> str:
    from benchmarks.report import machine  # PyTorch, which would show in the memory of those that are measured

    return str(machine()["cpu"])


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
