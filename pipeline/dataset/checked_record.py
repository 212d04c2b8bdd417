"""Checks JSON records as they are read from a dataset: the error names the file, the field and the value."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from flowreel.pipeline.storage import redact
from flowreel.schemas.errors import IntegrityError
from flowreel.schemas.problems import plain
from flowreel.schemas.wording import counted

M = TypeVar("M", bound=BaseModel)
SHOWN = 60  # characters of a value


def read_record(data: bytes, url: str, model: type[M], step: str) -> M:
    """Parses a record. Raises IntegrityError for the first field that is not as ``model`` says; ``step``: what to do
    then."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        problems: list[Any] = error.errors(include_url=False, include_context=False)
    more = f" (and {counted(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""
    raise IntegrityError(f"{url}: damaged: {_problem(problems[0])}{more}; {step}")


def _problem(error: dict[str, Any]) -> str:
    """Words what is wrong with one field."""
    place = ".".join(map(str, error["loc"]))
    message = plain(str(error["msg"]))
    if error["type"] == "json_invalid":
        return f"no JSON: {message.removeprefix('Invalid JSON: ')}"
    if error["type"] == "missing":
        return f"field {place}: missing"
    text = redact(repr(error["input"]), {})
    shown = text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
    return f"field {place}: {shown}: {message}" if place else f"{shown}: {message}"
