"""Parses YAML text and `--set` overrides to a checked spec, with error messages that a person can act on."""

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from flowreel.schemas.errors import UsageError
from flowreel.schemas.problems import problem_lines
from flowreel.schemas.spec import Spec
from flowreel.schemas.wording import counted

MOST_BYTES = 1_000_000  # of a YAML file: Python takes about 10 s to parse as many
MOST_VALUES = 100_000  # in a YAML file
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


# PyYAML raises the last ones for tags that do not fit their values: `!!timestamp x`, `!!bool x`, `!!int ''`.
_BAD_YAML = (yaml.YAMLError, ValueError, AttributeError, KeyError, IndexError, TypeError, OverflowError)


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Parses a YAML mapping. Raises UsageError with line and column, quoting nothing that may be secret."""
    check_size(len(text), name)
    try:
        tree = yaml.load(text, _Loader)
    except RecursionError:
        raise UsageError(f"{name}: not valid YAML: nested too deeply, or a value contains itself") from None
    except _BAD_YAML as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UsageError(f"{name}: not valid YAML: {where}{_without_content(error)}") from None
    if tree is None:
        raise UsageError(f"{name}: empty; `flowreel schema` lists the fields, configs/ has examples")
    if not isinstance(tree, dict):
        raise UsageError(f"{name}: must be a mapping of fields, not {_kind(tree)}; see `flowreel schema`")
    return tree


def _kind(value: Any) -> str:
    """Words what a YAML document is that is no mapping."""
    return "a list" if isinstance(value, list) else "a single value"


def check_size(size: int, name: str) -> None:
    """Raises UsageError for a YAML file of more than ``MOST_BYTES``, before anything of it is parsed."""
    if size > MOST_BYTES:
        raise UsageError(
            f"{name}: {size:,} bytes, and a YAML file may have {MOST_BYTES:,}; is it the file that you mean?"
        )


def _without_content(error: Exception) -> str:
    """Words what is wrong with a YAML text. What PyYAML quotes beside its own words is content, which may be secret."""
    problem = str(
        getattr(error, "problem", None) or "unreadable: a control character, or a date or number that is none"
    )
    if problem.startswith("could not determine a constructor"):
        return "a tag that is not known here; put quotes around a text that begins with '!'"
    if problem.startswith("found undefined alias"):
        return "an alias that nothing defines; put quotes around a text that begins with '*'"
    if problem.startswith("key "):
        return problem
    own = re.compile(r"<[a-z ]+>|\W{1,2}|")  # names of tokens, and punctuation
    return re.sub("'(.*?)'", lambda quoted: quoted[0] if own.fullmatch(quoted[1]) else "(a text)", problem)


def check(model: type[M], tree: Any, name: str) -> M:
    """Validates ``tree`` as a ``model``. Raises UsageError with one line per problem: field, value, bound, next
    step."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [f"  {line}" for line in problem_lines(model, error)]
        raise UsageError("\n".join([f"{name}: {counted(len(lines), 'problem')}", *lines])) from None


class _Loader(yaml.SafeLoader):
    """Loads YAML, and refuses what it allows: a key that is given twice, of which the first value would be dropped in
    silence, and aliases of aliases that turn a few lines into millions of values."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        count = 0 if node is None else _values(node, {})
        if count > MOST_VALUES:
            raise yaml.MarkedYAMLError(
                problem=f"it holds {_about(count)} values, and {MOST_VALUES:,} are allowed; mappings, lists, keys and"
                " single values count, again for each alias that repeats them"
            )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if str(key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is given twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _about(count: int) -> str:
    """Words a count that may have hundreds of digits."""
    return f"{count:,}" if count < 10**12 else "more than a trillion"


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
        shown = re.sub(r"(?<=[\w.])[:\s=].*|(?<=storage_options).*", "...", override, flags=re.DOTALL)
        raise UsageError(f"--set {shown}: must be FIELD=VALUE, for example --set clips.frames=16")
    *parents, last = path.split(".")
    node: Any = tree
    for part in parents:
        node = _enter(node, part, path)
    try:
        new = yaml.load(value, _Loader)
    except (*_BAD_YAML, RecursionError):  # plain text such as {sequence}/labels/*.png
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
