"""Sources to render from: label maps in a bucket, poses or face landmarks there, or procedural streets."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from flowreel.schemas.containers import ColumnsSpec, FolderUri, check_templates
from flowreel.schemas.encoding import Encoding, holds_instances, words
from flowreel.schemas.model import Model, OwnOptions
from flowreel.schemas.numbers import Fps, Positive
from flowreel.schemas.presets import with_preset
from flowreel.schemas.remap import OTHERS, Remap, named
from flowreel.schemas.source_kinds import FaceSpec, PoseSpec, ProceduralSpec
from flowreel.schemas.template import FrameTemplate

LABELS = "{sequence}/labels/*.png"
FRAMES = "{sequence}/*"  # what procedural frames are called: no file lies there
CITYSCAPES = "cityscapes"

Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda patterns: [patterns] if isinstance(patterns, str) else patterns),
]


class SourceSpec(Model):
    """Where the sequences lie and what their ids mean; or what to paint instead."""

    uri: FolderUri = Field("", description="folder or bucket URL that holds the sequences")
    preset: str | None = Field(
        None, description="a known layout, whose fields those given here override: see `flowreel presets`"
    )
    labels: FrameTemplate = Field(
        LABELS,
        description="label maps; {sequence} is one or more path parts, or a part of the file name, as in"
        " {sequence}_*.png; a part such as {sequence}.tar or .zip is opened as a folder, {sequence}.mkv as its frames;"
        " without *, each file is a sequence of its own",
    )
    instances: FrameTemplate | None = Field(
        None, description="instance maps, one per label map, matched by frame name; of poses: masks of people"
    )
    images: FrameTemplate | None = Field(None, description="real images, for training; rendering reads none")
    label_space: str = Field(
        CITYSCAPES,
        description="one that is built in (`cityscapes`, `camvid11`, `camvid`, `idd`, `carla`, `mapillary-v1.2`,"
        " `cityscapes-train-ids`), or a file: a label space, COCO's or Mapillary's JSON, or Replicator's, also with *",
    )
    remap: Remap = Field(
        {},
        description="source id -> id or class name of the label space; if any id is named, all that occur must be, or"
        " `others: keep`",
    )
    fps: Fps = Field(17.0, description="frames per second of the sequences")
    encoding: Encoding = Field(
        "ids",
        description="how label maps say what a pixel shows: `ids`, `index` (of a palette, whatever it shows),"
        " `{channel: red}`, `colours` (the label space's) or `{colours: FILE}`; with instances in the same file"
        " `kitti-step`, `mapillary`, `cityscapes-instance`, `coco-panoptic` or `{coco-panoptic: FILE}`",
    )
    step: Positive | None = Field(None, description="from one frame number to the next; default: as the names say")
    gaps: Literal["error", "split", "hold"] = Field(
        "error",
        description="where frames are missing: split: what follows is another sequence; hold: the frame before a gap of"
        " up to a second stands still. split also cuts where another recording begins",
    )
    include: Patterns = Field((), description="names of sequences to render, with * and ?; default: all")
    exclude: Patterns = Field((), description="names of sequences to leave out, with * and ?")
    min_frames: Positive = Field(1, description="sequences with fewer frames are left out")
    dataset: str | None = Field(
        None,
        description="instead of a uri: another Flowreel dataset, DATASET or DATASET@N; each of its clips is a sequence,"
        " with its label space, frame rate, instance maps and split",
    )
    columns: ColumnsSpec | None = Field(None, description="the frames are rows of Parquet files: their columns")
    procedural: ProceduralSpec | None = Field(None, description="instead of a uri: procedural streets")
    pose: PoseSpec | None = Field(None, description="instead of labels: poses")
    face: FaceSpec | None = Field(None, description="instead of labels: face landmarks")

    storage_options: OwnOptions = None

    @property
    def classes_of_ids(self) -> dict[int, int | str]:
        """Gives the source ids that the remap names, with their classes."""
        return named(self.remap)

    @property
    def keeps_others(self) -> bool:
        """Tells whether ids that the remap does not name stay as they are."""
        return not self.remap or OTHERS in self.remap

    @property
    def kind(self) -> Literal["labels", "procedural", "pose", "face"]:
        """Names the kind of source."""
        return "procedural" if self.procedural else "pose" if self.pose else "face" if self.face else "labels"

    @property
    def consecutive(self) -> bool:
        """Tells whether each frame of a sequence follows the one before it, so that none may be missing."""
        return True

    @property
    def place(self) -> str:
        """Names the source for messages."""
        return f"procedural street scenes, seed {self.procedural.seed}" if self.procedural else self.dataset or self.uri

    @property
    def frames(self) -> str:
        """Gives the template of the file that every frame has."""
        if self.procedural:
            return FRAMES
        if self.pose:
            return self.pose.openpose or str(self.pose.densepose)
        return self.face.landmarks if self.face else self.labels

    @property
    def templates(self) -> tuple[str, ...]:
        """Gives the templates of all files that rendering reads."""
        return tuple(t for t in (self.frames, self.instances, self.guides) if t)

    @property
    def guides(self) -> str | None:
        """Gives the template of the guides: DensePose's maps beside keypoints; real images where edges are taken
        from them, or where only they say how large the picture is."""
        if self.pose:
            both = self.pose.openpose and self.pose.densepose
            return self.pose.densepose if both else None if self._has_size else self.images
        if self.face:
            return None if self._has_size and not self.face.background_edges else self.images
        return None

    @property
    def picture(self) -> tuple[int, int] | None:
        """Gives width and height of the pictures of poses and faces, where the spec says so."""
        points = self.pose or self.face
        return points.picture if points else None

    @property
    def _has_size(self) -> bool:
        """Tells whether something other than images says how large pictures are."""
        return self.picture is not None or self.instances is not None or bool(self.pose and self.pose.densepose)

    @property
    def has_instances(self) -> bool:
        """Tells whether it has instance maps."""
        return self.procedural is not None or self.instance_maps is not None

    @property
    def instance_maps(self) -> str | None:
        """Gives the template of the files that hold instances: of some encodings, the label maps."""
        return self.labels if holds_instances(self.encoding) else self.instances

    @property
    def has_keypoints(self) -> bool:
        """Tells whether it has keypoints."""
        return self.face is not None or (self.pose is not None and self.pose.openpose is not None)

    @property
    def label_space_name(self) -> str:
        """Gives the label space's name; for poses and faces it follows from what they are."""
        if self.pose:
            return "densepose" if self.pose.densepose else "person"
        return "face-parts" if self.face else self.label_space

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, tree: Any) -> Any:
        return with_preset(tree) if isinstance(tree, dict) else tree

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("procedural", "pose", "face", "dataset") if getattr(self, name)]
        if len(kinds) > 1:
            raise ValueError(f"{' and '.join(kinds)} are given; a source is one of them")
        if self.procedural is None and self.dataset is None and not self.uri:
            raise ValueError("uri: missing; give the folder or bucket URL that holds the sequences")
        if self.columns:
            check_templates(self.columns, self.instances, self.images)
        if kinds:
            self._check_unused(kinds[0])
        if self.instances and holds_instances(self.encoding):
            raise ValueError(
                f"instances: with encoding {words(self.encoding)} the label maps hold them; leave instances out"
            )
        if (self.pose or self.face) and not self._has_size and not self.images:
            raise ValueError(
                f"{self.kind}.picture: missing; nothing else says how large the pictures are: give [width, height] or"
                " images"
            )
        if self.face and self.face.background_edges and not self.images:
            raise ValueError("face.background_edges needs images; for example images: '{sequence}/images/*.jpg'")
        return self

    def _check_unused(self, kind: str) -> None:
        usual: dict[str, object] = {"labels": LABELS, "label_space": CITYSCAPES, "remap": {}, "encoding": "ids"}
        usual |= {"columns": None}
        if kind in ("dataset", "procedural"):
            usual |= {"uri": ""}
        if kind == "procedural":
            usual |= {"instances": None, "images": None}
        if kind == "face":
            usual |= {"instances": None}
        for name, value in usual.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name}: a {kind} source has its own; leave it out")
