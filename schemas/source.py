"""Sources to render from: label maps in a bucket, poses or face landmarks there, or procedural streets."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from flowreel.schemas.edit import ClassKey
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Fps, Fraction, Natural, Positive, Side

SEQUENCE = "{sequence}"
LABELS = "{sequence}/labels/*.png"
FRAMES = "{sequence}/*"  # what procedural frames are called: no file lies there
CITYSCAPES = "cityscapes"


def check_template(template: str) -> str:
    """Returns the template. Raises ValueError if it is not a template of frames."""
    if template.count(SEQUENCE) != 1:
        found = "missing from" if SEQUENCE not in template else "more than once in"
        raise ValueError(f"'{SEQUENCE}' is {found} '{template}'; write it as in '{{sequence}}/labels/*.png'")
    parts = template.split("/")
    if SEQUENCE not in parts[:-1] or template.count("*") != 1 or "*" not in parts[-1]:
        raise ValueError(
            f"'{template}' must have '{SEQUENCE}' as a folder of its own and one '*' in the file name;"
            " for example '{sequence}/labels/*.png'"
        )
    if "\\" in template or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"'{template}' must be relative to source.uri, without empty parts, '.', '..' or '\\'")
    return template


FrameTemplate = Annotated[str, AfterValidator(check_template)]
Density = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Picture = Annotated[
    tuple[Side, Side] | None,
    Field(description="width, height of the pictures that the points were found in; default: the maps' or images' own"),
]


class RareSpec(Model):
    """The shares of sequences that show rare events of streets."""

    jaywalker: Fraction = Field(0.0, description="someone crosses the road in front of the camera")
    crowd: Fraction = Field(0.0, description="a group of people on a sidewalk")
    cross_traffic: Fraction = Field(0.0, description="a car, truck or bus crosses at a junction ahead")
    cyclist_ahead: Fraction = Field(0.0, description="a cyclist rides in the camera's lane")


class ProceduralSpec(Model):
    """Street scenes as a camera in a driving car sees them.

    Sequence k depends on all of this but ``sequences``: adding more leaves the others as they are.
    """

    sequences: Positive = Field(10, description="how many; there is no end to them")
    frames: Positive = Field(30, description="of each sequence, at 17 frames a second")
    seed: Natural = 0
    traffic: Density = Field(1.0, description="times as many vehicles, moving and parked, as usual; 0: none")
    pedestrians: Density = Field(1.0, description="times as many people on foot")
    cyclists: Density = Field(1.0, description="times as many bicycles, ridden and parked")
    curvature: Density = Field(1.0, description="times as bent as usual; 0: straight streets")
    buildings: Fraction = Field(0.8, description="of the sides of streets, those with buildings; the others are parks")
    rare: RareSpec = RareSpec()


class PoseSpec(Model):
    """People: OpenPose's keypoints, DensePose's maps, or both, drawn as vid2vid's pose generators are given them."""

    openpose: FrameTemplate | None = Field(
        "{sequence}/openpose/*.json", description="OpenPose's JSON (BODY_25), one per frame"
    )
    densepose: FrameTemplate | None = Field(
        None, description="DensePose's maps: RGB, the body part (0 to 24) in the third channel"
    )
    basic: bool = Field(False, description="skeletons without head, hands and face (basic_point_only)")
    crop: Literal["center", "body", "none"] = Field(
        "center", description="center: the middle columns, as in vid2vid; body: a crop that follows the main person"
    )
    picture: Picture = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.openpose is None and self.densepose is None:
            raise ValueError("openpose and densepose are both null: a pose needs at least one of them")
        return self


class FaceSpec(Model):
    """Faces: dlib's 68 landmarks, drawn as vid2vid's face generators are given them."""

    landmarks: FrameTemplate = Field(
        "{sequence}/landmarks/*.json", description="68 points: JSON [[x, y], ...], or lines 'x,y'"
    )
    distances: bool = Field(True, description="14 maps of distances from the strokes too (off: no_dist_map)")
    background_edges: bool = Field(
        False, description="edges of the real picture around the face, as in vid2vid; source.images are needed for them"
    )
    picture: Picture = None


class SourceSpec(Model):
    """Where the sequences lie and what their ids mean; or what to paint instead."""

    uri: str = Field("", description="folder or bucket URL that holds the sequences")
    labels: FrameTemplate = Field(LABELS, description="label maps; {sequence} is one or more path parts")
    instances: FrameTemplate | None = Field(
        None, description="instance maps, one per label map, matched by frame name; of poses: masks of people"
    )
    images: FrameTemplate | None = Field(None, description="real images, for training; rendering reads none")
    label_space: str = Field(CITYSCAPES, description="`cityscapes`, `camvid11`, or a path to a label-space file")
    remap: dict[int, ClassKey] = Field({}, description="source id -> id or class name of the label space")
    fps: Fps = Field(17.0, description="frames per second of the sequences")
    procedural: ProceduralSpec | None = Field(None, description="instead of a uri: procedural streets")
    pose: PoseSpec | None = Field(None, description="instead of labels: poses")
    face: FaceSpec | None = Field(None, description="instead of labels: face landmarks")

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
        return f"procedural street scenes, seed {self.procedural.seed}" if self.procedural else self.uri

    @property
    def frames(self) -> str:
        """Gives the template of the file that every frame has."""
        if self.procedural:
            return FRAMES
        if self.pose:
            return self.pose.openpose or str(self.pose.densepose)
        return self.face.landmarks if self.face else self.labels

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
        return self.procedural is not None or self.instances is not None

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

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("procedural", "pose", "face") if getattr(self, name)]
        if len(kinds) > 1:
            raise ValueError(f"{' and '.join(kinds)} are given; a source is one of them")
        if self.procedural is None and not self.uri:
            raise ValueError("uri: missing; give the folder or bucket URL that holds the sequences")
        if kinds:
            self._check_unused(kinds[0])
        if (self.pose or self.face) and not self._has_size and not self.images:
            raise ValueError(
                f"{self.kind}.picture: missing; nothing else says how large the pictures are: give [width, height] or"
                " images"
            )
        if self.face and self.face.background_edges and not self.images:
            raise ValueError("face.background_edges needs images; for example images: '{sequence}/images/*.jpg'")
        return self

    def _check_unused(self, kind: str) -> None:
        usual: dict[str, object] = {"labels": LABELS, "label_space": CITYSCAPES, "remap": {}}
        if kind == "procedural":
            usual |= {"uri": "", "instances": None, "images": None}
        if kind == "face":
            usual |= {"instances": None}
        for name, value in usual.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name}: a {kind} source has its own; leave it out")
