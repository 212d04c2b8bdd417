"""Runs every command and every reader on a dataset, in this process, and keeps what none of them may give: a
traceback."""

import io
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flowreel.jobs import cli
from flowreel.pipeline.dataset.versions import open_version
from flowreel.pipeline.export.formats import FORMATS
from flowreel.pipeline.reader.dataset import open_dataset
from flowreel.pipeline.reader.torch_dataset import ClipDataset, Samples
from flowreel.pipeline.reader.torch_stream import ClipStream
from flowreel.pipeline.storage import open_store
from flowreel.pipeline.training.data.published_dataset import published_sequences
from flowreel.pipeline.training.data.read_media import read_media
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.label_spaces import BUILT_IN

CODES = {0, 1, 2, 3, 4, 75}
NET = ("Traceback", "this is a bug", "internal error", "unexpected error")  # what a safety net would say


@dataclass
class Ran:
    """What came of all commands."""

    tracebacks: list[str] = field(default_factory=list)
    refused: int = 0  # with a sentence
    done: int = 0

    @contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """Counts a FlowreelError as a sentence, and any other exception as a traceback."""
        try:
            yield
        except FlowreelError as error:
            self.refused += 1
            if not str(error).strip():
                self.tracebacks.append(f"{name}: says nothing")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.tracebacks.append(f"{name}: {''.join(traceback.format_exception(error)[-3:])}")
        else:
            self.done += 1

    def command(self, *words: str) -> tuple[int, str]:
        """Runs `flowreel WORDS`; gives its exit code and what it printed."""
        out = io.StringIO()
        code = -1
        sys.argv = ["flowreel", *words]
        with self.watched(words[0]), redirect_stdout(out), redirect_stderr(out):
            code = cli.run()
        text = out.getvalue()
        if code not in (*CODES, -1) or any(word in text for word in NET):
            self.tracebacks.append(f"{' '.join(words[:1])}: exit code {code}: {text[-2000:]}")
        if code in (1, 2) and not text.strip():
            self.tracebacks.append(f"{words[0]}: exit code {code} without a word")
        return code, text


@dataclass(frozen=True)
class Case:
    """A dataset to run everything on, and what that needs."""

    root: Path
    version: int  # that is verified
    clip_id: str  # of version 1
    good: Path  # a dataset to compare it with
    scratch: Path
    refresh: Callable[[], object]


def run_all(case: Case) -> tuple[Ran, bool]:
    """Runs everything; tells too whether `verify` called the version intact."""
    ran, place, scratch = Ran(), str(case.root), case.scratch
    ran.command("status", place)
    ran.command("status", place, "--json")
    ran.command("status", f"{place}@1", "--clip", case.clip_id)
    ran.command("status", place, "--source", "seq_0/labels/000001.png", "--json")
    code, text = ran.command("verify", f"{place}@{case.version}")
    ran.command("diff", place, "1", "2")
    ran.command("diff", place, "2", "1", "--json")
    ran.command("report", place, "--out", str(scratch / "report.html"))
    ran.command("report", "--compare", place, str(case.good), "--out", str(scratch / "compare.html"))
    for name in FORMATS:
        ran.command("export", place, str(scratch / name), "--format", name)
    _read(ran, place)
    ran.command("gc", place, "--dry-run", "--compact")
    with ran.watched("refresh"):
        case.refresh()
    ran.command("gc", place, "--keep", "1", "--grace", "0")
    shutil.rmtree(scratch, ignore_errors=True)
    return ran, code == 0 and "intact" in text


def _read(ran: Ran, place: str) -> None:
    """Reads by all readers."""
    for verify in (False, True):
        with ran.watched(f"open_dataset(verify={verify})"):
            opened = open_dataset(place, verify=verify)
            for number in range(len(opened)):
                with suppress(FlowreelError):
                    opened.clip(number)
    with ran.watched("open_dataset(where)"):
        list(open_dataset(place, where={"split": "train", "classes": {"road": 1}}).clips())
    with ran.watched("ClipDataset"):
        samples = ClipDataset(Samples(open_dataset(place), frames=2, columns=("image", "label", "instance")))
        for number in range(len(samples)):
            with suppress(FlowreelError):
                samples[number]
    with ran.watched("ClipStream"):
        for _ in ClipStream(Samples(open_dataset(place), frames=0), threads=1):
            continue
    with ran.watched("training"):
        store = open_store(place)
        sequences, _ = published_sequences(open_version(store), BUILT_IN["cityscapes"])
        frames = [frame for sequence in sequences for frame in sequence.frames]
        read_media(store, [m for frame in frames for m in (frame.image, frame.label, frame.instance) if m])
