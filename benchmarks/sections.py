"""Sections of a Markdown file that commands write."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

README = Path(__file__).parent / "README.md"


def put_section(place: Path, name: str, text: str) -> None:
    """Puts ``text`` between the markers of ``name``; what stands there is replaced, a section that is missing comes to
    the end, and so does a file that is not there yet."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    old = place.read_text() if place.exists() else "# Benchmarks\n"
    before, found, rest = old.partition(begin)
    _, closed, after = rest.partition(end)
    if found and not closed:
        raise SystemExit(f"{place}: {begin} without {end} after it; add it where the section ends")
    if not found:
        before, after = f"{old.rstrip()}\n\n", "\n"
    place.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")


def circumstances() -> str:
    """Date, commit and machine."""
    command = ["git", "-C", str(README.parent), "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    cpus = f"{_cpu()}, {os.cpu_count()} CPUs"
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {cpus}, Python {platform.python_version()}"


def _cpu() -> str:
    from benchmarks.report import machine  # PyTorch, which would show in the memory of those that are measured

    return str(machine()["cpu"])


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
