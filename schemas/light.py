"""Light and weather applied to rendered frames; labels stay valid."""

from typing import Annotated

from pydantic import Field

from flowreel.schemas.model import Model

Gain = Annotated[float, Field(ge=0.2, le=5)]


class Light(Model):
    """Changes of light, applied in this order: haze, exposure, tint, gamma."""

    haze: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="0: clear; 1: little is seen at the horizon")
    exposure: Annotated[float, Field(ge=-4, le=4)] = Field(0.0, description="stops: 1 is twice the light")
    tint: tuple[Gain, Gain, Gain] = Field((1.0, 1.0, 1.0), description="factors of red, green, blue")
    gamma: Gain = Field(1.0, description="above 1: darker middle tones")

    def __str__(self) -> str:
        parts = [
            f"{name} {getattr(self, name):g}" for name, neutral in _NEUTRAL.items() if getattr(self, name) != neutral
        ]
        if self.tint != (1.0, 1.0, 1.0):
            parts.append("tint " + "/".join(f"{gain:g}" for gain in self.tint))
        return ", ".join(parts) or "as it is"


_NEUTRAL = {"haze": 0.0, "exposure": 0.0, "gamma": 1.0}
