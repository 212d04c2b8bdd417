"""Quality bounds that a spec sets."""

from typing import Self

from pydantic import Field, model_validator

from flowreel.schemas.edit import ClassKey
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Above0, Fraction


class QualitySpec(Model):
    """Bounds on the quality of clips: one with a frame beyond them is rejected when it is rendered, with a reason.
    null: no bound.

    Each is on the manifest's column of its name. Clips that a version already holds are judged by what its manifest
    says of them.
    """

    segmenter: str | None = Field(
        None,
        min_length=1,
        description="what label agreement is measured with: a file that `flowreel segmenter` wrote (.safetensors); or"
        " ONNX in one file (.onnx), from RGB (1, 3, H, W) in [0, 1] to logits (1, C, H, W); or TorchScript (.pt, .ts)"
        " that does the same, which runs code of its own and needs --allow-code",
    )
    segmenter_classes: tuple[ClassKey, ...] | None = Field(
        None, description="id or name of each channel's class; default: all classes that are not ignored, by id"
    )
    max_warp_error: Above0 | None = Field(None, description="difference to the frame before, moved along; 0 to 1")
    max_flicker: Above0 | None = Field(None, description="change of light along motion; 0 to 1")
    max_drift: Above0 | None = Field(None, description="distance of colours from the clip's first second; 0 to 1")
    min_sharpness: Above0 | None = Field(None, description="mean absolute Laplacian in 8-bit levels: blur is below")
    max_sharpness: Above0 | None = Field(None, description="noise is above")
    min_contrast: Above0 | None = Field(None, description="standard deviation of grey, 0 to 0.5: black is 0")
    min_saturation: Above0 | None = Field(None, description="mean distance between channels, 0 (grey) to 1")
    max_saturation: Above0 | None = None
    min_label_edges: Above0 | None = Field(
        None, description="steepness of the picture where labels meet, by that on the whole: shifted labels give 1"
    )
    max_frozen: Fraction | None = Field(
        None, description="of pixels whose label changes, those that stay as they are: a frozen frame gives 1"
    )
    min_label_agreement: Fraction | None = Field(
        None, description="of pixels, those that the segmenter names as their label does"
    )

    @model_validator(mode="after")
    def _needs_segmenter(self) -> Self:
        if self.min_label_agreement is not None and self.segmenter is None:
            raise ValueError(
                f"min_label_agreement {self.min_label_agreement:g} cannot be checked without a segmenter; name one as"
                " quality.segmenter (`flowreel segmenter DATA OUT` trains one), or leave it null"
            )
        for name in ("sharpness", "saturation"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{name} {low:g} is above max_{name} {high:g}: nothing would pass")
        return self
