"""What `flowreel train` learns from: the parts of its spec that say which frames, and how they are prepared."""

from typing import Literal, Self

from pydantic import Field, model_validator

from flowreel.schemas.edit import ClassKey
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Above0
from flowreel.schemas.spec import Fraction, Side, SourceSpec


class TrainSourceSpec(SourceSpec):
    """One of several sources of paired frames."""

    weight: Above0 = Field(1.0, description="share of the training rounds, relative to the other sources'")
    stills: bool = Field(False, description="frames are single pictures: none follows another")

    @property
    def consecutive(self) -> bool:
        """Tells whether each frame of a sequence follows the one before it."""
        return not self.stills


class DataSpec(Model):
    """How frames are prepared before a network sees them."""

    size: tuple[Side, Side] = Field((512, 256), description="width, height that frames are resized to")
    crop: tuple[Side, Side] | None = Field(None, description="width, height of a random crop; one per clip")
    flip: Fraction = Field(0.5, description="share of clips that are mirrored, as a whole")
    hold_out: tuple[str, ...] = Field((), description="sequences that are not trained on, for samples and evaluation")
    flow: Literal["dis", "raft"] = Field("dis", description="reference flow: OpenCV's DIS, or RAFT from flow_weights")
    flow_weights: str | None = Field(None, description="weights file of torchvision's RAFT (large)")
    void: tuple[ClassKey, ...] = Field(
        (), description="classes without a look of their own (bonnet, borders): their pixels are left out of the losses"
    )
    fill_void: Fraction = Field(0.7, description="share of clips whose void classes become the nearest other class")
    drop_edges: Fraction = Field(0.0, description="share of clips whose edge channel is left empty")

    @model_validator(mode="after")
    def _weights_for_raft(self) -> Self:
        if (self.flow == "raft") != (self.flow_weights is not None):
            raise ValueError("flow: raft and flow_weights (a local weights file) go together; nothing is downloaded")
        return self
