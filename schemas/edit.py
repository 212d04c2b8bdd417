"""Changes to label maps before rendering; the edited map is the label that is published."""

from pydantic import Field, StrictInt, StrictStr

from schemas.model import Model

ClassKey = StrictInt | StrictStr  # id or name; strict: YAML's `no` is no class 0


class Replace(Model):
    """All pixels of one class become another class: trees into buildings."""

    replace: ClassKey = Field(description="class (name or id) that goes")
    with_: ClassKey = Field(alias="with", description="class (name or id) that takes its place")

    def __str__(self) -> str:
        return f"replace {self.replace} with {self.with_}"


Edit = Replace
