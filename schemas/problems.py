"""Words what pydantic finds wrong as a person can act on it: field, value, bound and next step, one line a problem."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from flowreel.schemas.edit import KINDS, TAG
from flowreel.schemas.model import Model
from flowreel.schemas.secrets import HIDDEN, hide_secrets
from flowreel.schemas.variants import RULES

SECRETS = "storage_options"  # the field, of whatever model, whose values are never shown
# pydantic's names for the alternatives of a field
_BRANCH = r"edit-\w+|rule-\w+|constrained-\w+|literal\[.*\]|\[key\]|int|str"
_PLAIN = (  # pydantic's words -> ours, in this order
    *(("Value error, ", ""), ("Assertion failed, ", ""), (" after validation", "")),
    *(("greater than or equal to", "at least"), ("less than or equal to", "at most"), ("less than", "below")),
    *(("greater than", "above"), ("a valid dictionary", "a mapping of fields"), ("a valid integer", "an integer")),
    *(("a valid ", "a "), (", unable to parse string as an integer", ""), (", unable to parse string as a number", "")),
)
_TAGGED: dict[str, type[BaseModel]] = {**{TAG + key: model for key, model in KINDS.items()}, **RULES}


def problem_lines(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Gives one line for each problem of a tree that should have been a ``model``."""
    return [_problem(model, dict(each)) for each in error.errors(include_url=False)]


def _problem(model: type[BaseModel], error: dict[str, Any]) -> str:
    place = _place(error["loc"])
    if error["type"] == "extra_forbidden":
        known = _fields_at(model, error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "fields here: " + ", ".join(known)
        return f"{place}: unknown field; {hint}"
    if error["type"] == "missing":
        return f"{place}: missing, but required; `flowreel schema` lists all fields"
    message = plain(str(error["msg"]))
    if error["type"] == "value_error":
        return f"{place}: {message}" if place else message
    shown = HIDDEN if SECRETS in error["loc"] else _shown(error["input"])
    if message.startswith("must be "):
        return f"{place}: {message}, is {shown}"
    return f"{place}: {message}" if message.startswith("must ") else f"{place}: {shown}: {message}"


def plain(message: str) -> str:
    """Words a message of pydantic as a part of a sentence: "must be at least 1"."""
    message = re.sub(r"^(?:Input|String|Tuple|List|Set|Dictionary|Value|Data|Bytes) should\b", "must", message)
    for old, new in _PLAIN:
        message = message.replace(old, new)
    return re.sub(r"\b1 (item|character)s\b", r"1 \1", message)


def _place(loc: Sequence[int | str]) -> str:
    text = ""
    if loc and loc[0] == "variants_by":  # as it is written
        loc = ("variants", *loc[1:])
    for part in loc:
        if isinstance(part, str) and re.fullmatch(_BRANCH, part):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _text(value: Any) -> str:
    """Gives the `repr` of a value, also where Python refuses it for its length."""
    try:
        return repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _shown(value: Any) -> str:
    text = hide_secrets(re.sub(r"(?<=://)[^@\s]*@", HIDDEN + "@", _text(value)))
    return text if len(text) <= 60 else text[:57] + "..."


def _fields_at(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Gives the field names of the model found by following ``loc`` from ``model``; of ``model`` itself where that
    fails."""
    here: type[BaseModel] = model
    for part in loc:
        if isinstance(part, int):
            continue
        if part in _TAGGED:
            here = _TAGGED[part]
            continue
        field = next((f for n, f in here.model_fields.items() if part in (n, f.alias)), None)
        inner = _inner_model(field.annotation) if field else None
        if inner is None:
            return []
        here = inner
    return [f.alias or n for n, f in here.model_fields.items()]


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found:
            return found
    return None
