"""`flowreel demo`: renders a small dataset on this machine, with nothing but what is bundled."""

import io
import shlex
import time
from collections.abc import Generator
from pathlib import Path

import yaml
from PIL import Image

from flowreel.jobs.render import Exit, render, render_by
from flowreel.jobs.report import write_comparison
from flowreel.jobs.spec_file import open_spec
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.codec import encode_ids
from flowreel.pipeline.dataset.runs.ledger import Ledger
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.generator.engine import load_engine
from flowreel.pipeline.maintenance.verify import verify
from flowreel.pipeline.pictures import h264
from flowreel.pipeline.planning.prepare import Prepared
from flowreel.pipeline.reader.contact_sheet import contact_sheet, panels
from flowreel.pipeline.reader.dataset import read_version
from flowreel.pipeline.render.shard import ShardRenderer
from flowreel.pipeline.report.page import REPORT
from flowreel.pipeline.sources.scenes import street_scene
from flowreel.pipeline.storage import Store, open_store
from flowreel.schemas.errors import FlowreelError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.outcome import ShardOutcome
from flowreel.schemas.spec import ClipsSpec, DatasetSpec, OutputSpec
from flowreel.schemas.wording import counted, duration

SCENES = {"boulevard": 3, "main-street": 7, "old-town": 12}  # name -> seed
COMPARED = {"main-street": SCENES["main-street"]}
FRAMES, SIZE, FPS = 24, (256, 128), 17
SPEC = {
    "dataset": {"name": "demo"},
    "source": {
        "labels": "{sequence}/labels/*.png",
        "instances": "{sequence}/instances/*.png",
        "label_space": "cityscapes",
        "fps": FPS,
    },
    "generator": {"checkpoint": "bundled", "size": list(SIZE)},
    "clips": {"frames": FRAMES},
    "variants": [
        {"style": "generate"},
        {"style": "generate", "edits": [{"replace": "vegetation", "with": "building"}]},
    ],
    "output": {"flow": True},
    "execution": {"num_cpus": 1},
}


def run_demo(folder: str, display: Display) -> Exit:
    """Writes street scenes and a spec below ``folder``, renders and verifies them, and writes pictures and a video.

    Raises UsageError for a folder with another spec in it, FlowreelError if a clip could not be rendered, or if the
    dataset turns out damaged.
    """
    began, root = time.monotonic(), Path(folder).absolute()
    place = root / "spec.yaml"
    tree = SPEC | {"dataset": {"name": "demo", "uri": str(root / "dataset")}}
    tree["source"] = dict(SPEC["source"]) | {"uri": str(root / "bucket")}  # type: ignore[call-overload]
    text = yaml.safe_dump(tree, sort_keys=False)
    if place.exists() and place.read_text(errors="replace") != text:
        raise UsageError(
            f"{place} is not as the demo writes it: render it with `flowreel render`, or name another folder"
        )
    write_scenes(open_store(str(root / "bucket")), display)
    place.write_text(text)
    display.say(f"spec: {place}")
    result = render(open_spec(str(place), (), display), display)
    if result.version is None or result.exit != Exit.DONE:
        raise FlowreelError("the demo could not render all clips: " + "; ".join(result.unpublished[:3]))
    verdict = verify(result.version)
    if verdict.problems:
        raise FlowreelError("the demo's dataset is damaged: " + "; ".join(verdict.problems[:3]))
    space = LabelSpace.model_validate(result.version.record.label_space)
    sheet, video = write_pictures(result.version, space, open_store(str(root)))
    comparison = compare_with_single_frames(result.version, root, display)
    frames = counted(result.rendered_frames, "frame")
    rendered = f"{frames} rendered and" if result.published else "nothing changed since the last run;"
    print(
        f"\n{rendered} verified in {duration(time.monotonic() - began)}\n"
        f"  dataset        {root / 'dataset'} (version {result.version.number},"
        f" {counted(verdict.clips, 'clip')}, {counted(verdict.frames, 'image/label pair')})\n"
        f"  contact sheet  {root / sheet}\n"
        f"  video          {root / video}  (label | render | flow)\n"
        f"  report         {result.version.dataset.url(result.version.path(REPORT))}\n"
        f"  comparison     {comparison}  (with the same labels rendered frame by frame)\n"
        f"  spec           {place}\n"
        f"Next: edit the spec and run `flowreel render {shlex.quote(str(place))}`."
    )
    return Exit.DONE


def compare_with_single_frames(version: Version, root: Path, display: Display) -> str:
    """Renders one scene as clips of one frame each, and writes a page that shows them beside the video of ``version``.

    Gives the page's path.
    """
    folder = root / "frame-by-frame"
    write_scenes(open_store(str(folder / "bucket")), display, COMPARED)
    spec = version.record.spec
    changes = {
        "dataset": DatasetSpec(uri=str(folder / "dataset"), name="frame by frame", report=False),
        "source": spec.source.model_copy(update={"uri": str(folder / "bucket")}),
        "clips": ClipsSpec(frames=1),
        "variants": spec.variants[:1],
        "output": OutputSpec(),
    }
    single = render_by(_render_here, spec.model_copy(update=changes), display).version
    if single is None:
        raise FlowreelError("the demo could not render all clips frame by frame")
    return write_comparison(version, single, str(root / "compare.html"), display)


def _render_here(prepared: Prepared, done: Ledger, display: Display) -> Generator[ShardOutcome, None, None]:
    """Renders in this process: for so little, starting workers would take longer than rendering."""
    engine = load_engine(prepared.job.checkpoint, prepared.job.settings)
    with display.rendering(done.size_left()[1]) as progress:
        for shard in done.left():
            outcome = ShardRenderer(prepared.job, prepared.plan.plan_id, engine).render(shard, "here")
            progress.finished(outcome)
            yield outcome


def write_scenes(bucket: Store, display: Display, scenes: dict[str, int] = SCENES) -> None:
    """Writes label and instance maps of a few generated streets, as a camera in a moving car sees them."""
    with display.task("drawing street scenes") as progress:
        for done, (name, seed) in enumerate(scenes.items(), start=1):
            scene = street_scene(seed, FRAMES, SIZE)
            for kind, maps_THW in (("labels", scene.label_THW), ("instances", scene.instance_THW)):
                for t, ids_HW in enumerate(maps_THW):
                    path, data = f"{name}/{kind}/{t:06d}.png", encode_ids(ids_HW)
                    # Untouched where it is the same already, so that a second demo finds nothing to do.
                    if not (bucket.exists(path) and bucket.read(path) == data):
                        bucket.write(path, data)
            progress(done, len(scenes))


def write_pictures(version: Version, space: LabelSpace, out: Store) -> tuple[str, str]:
    """Writes a contact sheet of all clips and a video that plays them in turn. Gives their names in ``out``."""
    manifest = version.manifest(["clip_id", "edits"]).to_pylist()
    edits = {row["clip_id"]: ", ".join(row["edits"]) or "unedited" for row in manifest}
    clips = list(read_version(version).clips())
    sheet = contact_sheet([(f"{c.sequence_id}: {edits[c.clip_id]}", c) for c in clips], space)
    out.write("contact-sheet.png", _png(sheet))
    frames = (panel for clip in clips for panel in panels(clip, space))
    out.write("demo.mp4", h264(frames, FPS))
    return "contact-sheet.png", "demo.mp4"


def _png(image: Image.Image) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG", optimize=True)
    return sink.getvalue()
