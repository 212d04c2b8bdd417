"""Variants, what sequences are rendered as: a list of them, or a rule that makes one."""

from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from flowreel.schemas.edit import ClassKey, Edit
from flowreel.schemas.light import Light
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Positive, Seed, Weight

GENERATE = "generate"


class Variant(Model):
    """One style and list of edits that every sequence is rendered in.

    Its place in the list is published as its number: add new ones at the end, or the clips of those after it are
    rendered again.
    """

    style: str = Field(GENERATE, min_length=1, description="`generate`, or the uri of an exemplar image")
    edits: tuple[Edit, ...] = Field((), description="changes to the label maps before rendering, in order")
    seed: Seed | None = Field(None, description="default: clips.seed")
    light: Light | None = Field(None, description="laid over the rendered frames")

    @property
    def appearance(self) -> str:
        """Describes style and light, for people and the manifest."""
        return self.style if self.light is None else f"{self.style} ({self.light})"


class Balance(Model):
    """Edits that bring classes to a share of all pixels of the dataset: objects are removed from some clips, and
    objects that other sequences show are put into some. Which ones follows from the seed and the clips' names."""

    balance: dict[ClassKey, Annotated[float, Field(ge=0, lt=1)]] = Field(
        min_length=1, description="class (name or id) -> its share of all published pixels, reached within a tenth"
    )
    style: str = Field(GENERATE, min_length=1, description="of every clip: `generate`, or the uri of an exemplar image")
    objects: Positive = Field(3, description="put into one clip at most, per class")
    seed: Seed | None = Field(None, description="default: clips.seed")


class Style(Model):
    """A style that a matrix samples from."""

    style: str = Field(GENERATE, min_length=1, description="`generate`, or the uri of an exemplar image")
    light: Light | None = Field(None, description="laid over the rendered frames")
    seed: Seed | None = Field(None, description="default: clips.seed")
    weight: Weight = 1.0


class Edited(Model):
    """A list of edits that a matrix samples from."""

    edits: tuple[Edit, ...] = ()
    weight: Weight = 1.0


class Matrix(Model):
    """Styles x edits: each clip is rendered in some of all combinations, sampled by the product of their weights."""

    styles: tuple[Style, ...] = (Style(),)
    edits: tuple[Edited, ...] = (Edited(),)
    per_clip: Positive = Field(1, description="different pairs of each clip; of fewer pairs all")
    seed: Seed | None = Field(None, description="of the drawing; default: clips.seed")

    @model_validator(mode="after")
    def _any(self) -> Self:
        if not any(s.weight for s in self.styles) or not any(e.weight for e in self.edits):
            raise ValueError("styles or edits are empty, or all their weights 0: nothing can be sampled")
        return self


RULES: dict[str, type[Model]] = {"rule-balance": Balance, "rule-matrix": Matrix}  # by their tags


def _rule(value: Any) -> str:
    is_balance = isinstance(value, Balance) or (isinstance(value, dict) and "balance" in value)
    return "rule-balance" if is_balance else "rule-matrix"


Rule = Annotated[Annotated[Balance, Tag("rule-balance")] | Annotated[Matrix, Tag("rule-matrix")], Discriminator(_rule)]


def or_rule(schema: dict[str, Any]) -> None:
    """Says in a spec's JSON Schema that `variants` may be a rule as well."""
    fields = schema["properties"]
    rule = next(kind for kind in fields["variants_by"]["anyOf"] if kind.get("type") != "null")
    listed = {name: fields["variants"].pop(name) for name in ("type", "items")}
    fields["variants"]["anyOf"] = [listed, rule]
