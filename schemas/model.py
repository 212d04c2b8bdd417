"""The base that all of Flowreel's pydantic models share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

# Kept out of repr, dumps and records: they may hold secrets.
OwnOptions = Annotated[
    dict[str, Any] | None,
    Field(
        repr=False,
        exclude=True,
        description="given to fsspec for this place, never stored; default: the spec's storage_options",
    ),
]


class Model(BaseModel):
    """Frozen and strict about unknown fields: a typing mistake in a spec is an error, never a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
