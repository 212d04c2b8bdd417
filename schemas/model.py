"""The base that all of Flowreel's pydantic models share."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Frozen and strict about unknown fields: a typing mistake in a spec is an error, never a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
