"""Changes to label maps before rendering; the edited map is the label that is published."""

from pydantic import Field

from schemas.model import Model


class Replace(Model):
    """All pixels of one class become another class: trees into buildings."""

    replace: str | int = Field(description="class (name or id) that goes")
    with_: str | int = Field(alias="with", description="class (name or id) that takes its place")

    def __str__(self) -> str:
        return f"replace {self.replace} with {self.with_}"


Edit = Replace
