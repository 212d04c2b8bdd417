"""Every number of a spec has bounds: nothing overflows, divides by almost nothing, or waits for ever."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from flowreel.schemas.spec import Spec
from flowreel.schemas.training import TrainSpec


def unbounded(node: Any, place: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") in ("number", "integer"):
            low = {"minimum", "exclusiveMinimum", "const", "enum"} & node.keys()
            high = {"maximum", "exclusiveMaximum", "const", "enum"} & node.keys()
            if not (low and high):
                yield place
        for key, value in node.items():
            yield from unbounded(value, f"{place}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from unbounded(value, f"{place}/{index}")


@pytest.mark.parametrize("model", [Spec, TrainSpec])
def test_every_number_is_bounded(model: type[BaseModel]) -> None:
    assert list(unbounded(model.model_json_schema())) == []
