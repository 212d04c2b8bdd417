"""Types of numbers in specs."""

from typing import Annotated

from pydantic import Field

Fraction = Annotated[float, Field(ge=0, le=1)]
MOST = 2**31 - 1  # of counts: what a plan's int32 columns can hold
Positive = Annotated[int, Field(ge=1, le=MOST, strict=True)]  # strict: `true` is not 1
Above0 = Annotated[float, Field(ge=1e-12, le=1e12, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]  # beside others
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]  # up to a year
Fps = Annotated[float, Field(ge=1e-6, le=1000, allow_inf_nan=False)]
Gpus = Annotated[float, Field(ge=0, le=1024, allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=16384, strict=True)]  # pixels
Natural = Annotated[int, Field(ge=0, le=MOST, strict=True)]
Long = Annotated[int, Field(ge=0, lt=2**63, strict=True)]  # sizes and sums
Time = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]  # seconds: Unix time, or a sum
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # SHA-256 in hex
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
