"""Sources that are drawn, not read: procedural streets, poses of people, landmarks of faces."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Fraction, Natural, Positive, Side
from flowreel.schemas.template import FrameTemplate

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
