"""Procedural streets as a source: how many, and what they show."""

from typing import Annotated

from pydantic import Field

from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Fraction, Natural, Positive

Density = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


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
