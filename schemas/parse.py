"""Parses YAML text and `--set` overrides to a checked spec, with error messages that a person can act on."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from flowreel.schemas.edit import KINDS, TAG
from flowreel.schemas.errors import UsageError
from flowreel.schemas.model import Model
from flowreel.schemas.spec import Spec
from flowreel.schemas.variants import RULES
from flowreel.schemas.wording import counted

MOST_VALUES = 100_000  # in a YAML file
# pydantic's names for the alternatives of a field
_BRANCH = r"edit-\w+|rule-\w+|constrained-\w+|literal\[.*\]|\[key\]|int|str"
_PLAIN = (  # pydantic's words -> ours, in this order
    *(("Value error, ", ""), ("Assertion failed, ", ""), ("Input should be", "must be"), ("Input should", "must")),
    *(("Tuple should", "must"), ("List should", "must"), (" after validation", "")),
    *(("greater than or equal to", "at least"), ("less than or equal to", "at most"), ("less than", "below")),
    *(("greater than", "above"), ("a valid dictionary", "a mapping of fields"), ("a valid integer", "an integer")),
    *(("a valid ", "a "), (", unable to parse string as an integer", ""), (", unable to parse string as a number", "")),
)
_TAGGED: dict[str, type[BaseModel]] = {**{TAG + key: model for key, model in KINDS.items()}, **RULES}
M = TypeVar("M", bound=BaseModel)


def parse_spec(text: str, overrides: Iterable[str] = (), name: str = "spec") -> Spec:
    """Parses a dataset's spec: see ``parse``."""
    return parse(Spec, text, overrides, name)


def parse(model: type[M], text: str, overrides: Iterable[str], name: str) -> M:
    """Parses ``text`` (YAML) with ``a.b.c=value`` overrides. Raises UsageError that lists every problem."""
    tree = parse_yaml(text, name)
    for override in overrides:
        _override(tree, override)
    return check(model, tree, name)


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Parses a YAML mapping. Raises UsageError with line and column."""
    try:
        tree = yaml.load(text, _Loader)
    except RecursionError:
        raise UsageError(f"{name}: not valid YAML: nested too deeply, or a value contains itself") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = str(getattr(error, "problem", None) or "unreadable")
        # What it quotes is file content, which may be secret.
        quoted = problem if problem.startswith("key ") else re.sub("'.*'", "'...'", problem)
        raise UsageError(f"{name}: not valid YAML: {where}{quoted}") from None
    if tree is None:
        raise UsageError(f"{name}: empty; `flowreel schema` lists the fields, configs/ has examples")
    if not isinstance(tree, dict):
        raise UsageError(f"{name}: must be a mapping of fields, not {_kind(tree)}; see `flowreel schema`")
    return tree


def check(model: type[M], tree: Any, name: str) -> M:
    """Validates ``tree`` as a ``model``. Raises UsageError with one line per problem: field, value, bound, next
    step."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [f"  {_problem(model, dict(e))}" for e in error.errors()]
        raise UsageError("\n".join([f"{name}: {counted(len(lines), 'problem')}", *lines])) from None


class _Loader(yaml.SafeLoader):
    """Loads YAML, and refuses what it allows: a key that is given twice, of which the first value would be dropped in
    silence, and aliases of aliases that turn a few lines into millions of values."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _values(node, {}) > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"its aliases expand to more than {MOST_VALUES:,} values")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if str(key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is given twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """Counts the values of a tree once its aliases are followed. Raises RecursionError for one that contains itself."""
    if id(node) not in known:
        parts = node.value if isinstance(node.value, list) else []
        below = [part for item in parts for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_values(part, known) for part in below)
    return known[id(node)]


def _override(tree: dict[str, Any], override: str) -> None:
    path, sign, value = override.partition("=")
    path = path.strip()
    if not sign or not path:
        shown = "storage_options..." if "storage_options" in override else override
        raise UsageError(f"--set {shown}: must be FIELD=VALUE, for example --set clips.frames=16")
    *parents, last = path.split(".")
    node: Any = tree
    for part in parents:
        node = _enter(node, part, path)
    try:
        new = yaml.load(value, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError):  # plain text such as {sequence}/labels/*.png
        new = value
    if isinstance(node, list):
        node[_index(node, last, path)] = new
    else:
        node[last] = new


def _enter(node: Any, part: str, path: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, path)]
    if node.get(part) is None:
        node[part] = {}
    if not isinstance(node[part], dict | list):
        raise UsageError(f"--set {path}: '{part}' is a single value, not a group of fields")
    return node[part]


def _index(node: list[Any], part: str, path: str) -> int:
    if not re.fullmatch("[0-9]+", part) or int(part) >= len(node):
        has = f"{counted(len(node), 'item')}, numbered from 0" if node else "no items"
        raise UsageError(f"--set {path}: '{part}' is not in the list, which has {has}")
    return int(part)


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
    shown = "***" if "storage_options" in error["loc"] else _shown(error["input"])
    if message.startswith("must be "):
        return f"{place}: {message}, is {shown}"
    return f"{place}: {message}" if message.startswith("must ") else f"{place}: {shown}: {message}"


def plain(message: str) -> str:
    """Words a message of pydantic as a part of a sentence: "must be at least 1"."""
    for old, new in _PLAIN:
        message = message.replace(old, new)
    return message


def _place(loc: Sequence[int | str]) -> str:
    text = ""
    if loc and loc[0] == "variants_by":  # as it is written
        loc = ("variants", *loc[1:])
    for part in loc:
        if isinstance(part, str) and re.fullmatch(_BRANCH, part):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _kind(value: Any) -> str:
    """Words what a YAML document is that is no mapping."""
    return "a list" if isinstance(value, list) else "a single value"


def _shown(value: Any) -> str:
    text = re.sub(r"(?<=://)[^@\s]*@", "***@", repr(value))  # a secret may hold slashes
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
