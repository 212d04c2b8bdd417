"""The house rules that a program can check: who imports whom, how long things are, what gets packaged."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("schemas", "pipeline", "jobs")  # each may import those before it
SHELF = "shelf"  # the files right in pipeline/: small tools that many rooms use
ROOMS = (  # each may import those before it; folders of pipeline/, and the other packages as one room each
    *("schemas", SHELF, "storage", "edits", "sources", "generator", "quality", "dataset", "reader", "render"),
    *("report", "export", "planning", "publish", "maintenance", "training", "evaluation", "jobs", "flowreel"),
)
STRANGERS = (  # rooms of which neither imports the other, and one-way bans within the order
    *(("generator", "sources"), ("quality", "sources"), ("quality", "generator")),
    *(("training", "render"), ("training", "planning")),
)
MAX_ROOMS, MAX_DEPTH = 30, 10

MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 45
MAX_ARGUMENTS = 7

JOBS_ONLY = {"ray", "typer", "rich"}
STORAGE_ONLY = {"fsspec", "s3fs", "gcsfs", "adlfs", "botocore", "aiobotocore", "boto3"}

Finding = tuple[int, str]  # line, what stands there


@dataclass(frozen=True)
class Source:
    """A Python file: where it lies in the repository, and what it says."""

    path: str
    text: str

    @property
    def layer(self) -> str:
        return PurePosixPath(self.path).parts[0]

    @property
    def room(self) -> str:
        return room_of(self.path)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)


def room_of(path: str) -> str:
    """The room of a file by its path in the repository."""
    first, *rest = PurePosixPath(path).parts
    if first != "pipeline":
        return first
    return rest[0] if len(rest) > 1 else SHELF


Rule = Callable[[Source], Iterator[Finding]]


def imported_modules(source: Source) -> Iterator[Finding]:
    """Absolute names of the imported modules, those in functions and under TYPE_CHECKING as well; Flowreel's own
    without `flowreel.`, as their folders stand at the repository's top."""
    return ((line, name.removeprefix("flowreel.")) for line, name in _imported(source))


def _imported(source: Source) -> Iterator[Finding]:
    package = ("flowreel", *PurePosixPath(source.path).parent.parts)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            modules = [node.module] if node.module else [name.name for name in node.names]
            yield from ((node.lineno, ".".join([*base, module])) for module in modules)


def imports_of(source: Source, forbidden: Iterable[str]) -> Iterator[Finding]:
    names = set(forbidden)
    return ((line, f"imports {name}") for line, name in imported_modules(source) if name.split(".")[0] in names)


def imports_of_higher_layers(source: Source) -> Iterator[Finding]:
    return imports_of(source, LAYERS[LAYERS.index(source.layer) + 1 :])


def imports_of_later_rooms(source: Source) -> Iterator[Finding]:
    for line, other in rooms_imported(source):
        if ROOMS.index(other) > ROOMS.index(source.room) or (source.room, other) in STRANGERS:
            yield line, f"{source.room} imports {other}"


def rooms_imported(source: Source) -> Iterator[Finding]:
    """Other rooms that a file imports, with the line."""
    for line, name in imported_modules(source):
        path = module_path(name)
        if path and room_of(path) != source.room:
            yield line, room_of(path)


def module_path(name: str) -> str | None:
    """Where one of Flowreel's own modules lies in the repository; None for others' modules."""
    parts = name.split(".")
    if parts[0] not in (*LAYERS, "flowreel"):
        return None
    place = ROOT.joinpath(*parts)
    return "/".join(parts) + ("/__init__.py" if place.is_dir() else ".py")


def jobs_only_imports(source: Source) -> Iterator[Finding]:
    return iter(()) if source.layer == "jobs" else imports_of(source, JOBS_ONLY)


def torch_imports(source: Source) -> Iterator[Finding]:
    return imports_of(source, {"torch"}) if source.layer == "schemas" else iter(())


def storage_imports(source: Source) -> Iterator[Finding]:
    return iter(()) if source.path.startswith("pipeline/storage/") else imports_of(source, STORAGE_ONLY)


def long_files(source: Source) -> Iterator[Finding]:
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES:
        yield lines, f"{lines} lines, at most {MAX_FILE_LINES}: split by what changes together"


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def long_functions(source: Source) -> Iterator[Finding]:
    for node in functions(source):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield node.lineno, f"{node.name} has {lines} lines, at most {MAX_FUNCTION_LINES}"


def wide_functions(source: Source) -> Iterator[Finding]:
    for node in functions(source):
        count = len(node.args.posonlyargs) + len(node.args.args) + len(node.args.kwonlyargs)
        if count > MAX_ARGUMENTS:
            yield (
                node.lineno,
                f"{node.name} takes {count} arguments, at most {MAX_ARGUMENTS}: group them",
            )


def prints(source: Source) -> Iterator[Finding]:
    if source.layer == "jobs":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno, "prints: return it, or log it"


def docstrings_without_a_verb(source: Source) -> Iterator[Finding]:
    """Docstrings of functions begin with a verb in the third person: "Reads ...", "Gives ...", "Tells whether ..."."""
    for node in functions(source):
        text = ast.get_docstring(node)
        if text and not re.match(r"[A-Z][a-z]*s\b", text):
            yield node.lineno, f"{node.name}: its docstring begins with {text.split()[0]!r}, not with a verb"


RULES: list[Rule] = [
    imports_of_higher_layers,
    imports_of_later_rooms,
    jobs_only_imports,
    torch_imports,
    storage_imports,
    long_files,
    long_functions,
    wide_functions,
    prints,
    docstrings_without_a_verb,
]


@cache
def sources() -> list[Source]:
    files = sorted(file for layer in LAYERS for file in (ROOT / layer).rglob("*.py"))
    return [Source(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")) for file in files]


def offenders(rule: Rule, among: Iterable[Source]) -> list[str]:
    return [f"{source.path}:{line} {what}" for source in among for line, what in rule(source)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_house_rules(rule: Rule) -> None:
    found = offenders(rule, sources())
    assert not found, "\n" + "\n".join(found)


def test_rooms_are_few_and_shallow() -> None:
    rooms = {source.room for source in sources()}
    assert rooms == set(ROOMS) - {"flowreel"} and len(rooms) <= MAX_ROOMS
    below = {room: {other for s in sources() if s.room == room for _, other in rooms_imported(s)} for room in ROOMS}
    depth: dict[str, int] = {}
    for room in ROOMS:
        depth[room] = 1 + max((depth[other] for other in below[room]), default=0)
    assert max(depth.values()) <= MAX_DEPTH, depth


def test_no_file_imports_itself_through_others() -> None:
    """Imports in functions count too: a circle that only works because one of its arrows waits is a circle."""
    imported = {s.path: {path for _, name in imported_files(s) if (path := name) != s.path} for s in sources()}
    known = set(imported)
    try:
        list(TopologicalSorter({path: others & known for path, others in imported.items()}).static_order())
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))


def imported_files(source: Source) -> Iterator[Finding]:
    """Paths of Flowreel's own files that a file imports, with the line."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("flowreel."):
            package = node.module.removeprefix("flowreel.")
            for name in node.names:
                inner = module_path(f"{package}.{name.name}")
                path = inner if inner and (ROOT / inner).is_file() else module_path(package)
                if path:
                    yield node.lineno, path


def test_there_is_code_in_every_layer() -> None:
    assert {source.layer for source in sources()} == set(LAYERS)


UPWARD, LATER = imports_of_higher_layers, imports_of_later_rooms
QUALITY = "pipeline/quality/a.py"
NO_VERB = "its docstring begins with 'A', not with a verb"
ARGUMENTS = "    async def f(a, b, c, /, d, e, f, *, g, h): ..."


@pytest.mark.parametrize(
    ("rule", "path", "text", "expected"),
    [
        (
            UPWARD,
            "schemas/a.py",
            "import os\nimport flowreel.pipeline.x",
            ["schemas/a.py:2 imports pipeline.x"],
        ),
        (UPWARD, "pipeline/a.py", "def f():\n    from flowreel.jobs import cli", ["pipeline/a.py:2 imports jobs"]),
        (UPWARD, "pipeline/b/a.py", "from ...jobs.cli import main", ["pipeline/b/a.py:1 imports jobs.cli"]),
        (UPWARD, "pipeline/a.py", "from .. import jobs, schemas", ["pipeline/a.py:1 imports jobs"]),
        (UPWARD, "pipeline/b/a.py", "from . import jobs\nfrom ..d import jobs\nimport flowreel.schemas.spec", []),
        (UPWARD, "jobs/a.py", "import flowreel.schemas.spec\nfrom flowreel.pipeline import render", []),
        (LATER, "pipeline/edits/a.py", "from flowreel.pipeline.codec import x\nimport flowreel.schemas.spec", []),
        (
            LATER,
            "pipeline/codec.py",
            "from flowreel.pipeline.reader import x",
            ["pipeline/codec.py:1 shelf imports reader"],
        ),
        (
            LATER,
            "pipeline/training/a.py",
            "def f():\n    from flowreel.pipeline.render.shard import x",
            ["pipeline/training/a.py:2 training imports render"],
        ),
        (
            LATER,
            "pipeline/edits/a.py",
            "from ..storage import x\nfrom ..sources.find import y",
            ["pipeline/edits/a.py:2 edits imports sources"],
        ),
        (jobs_only_imports, "pipeline/a.py", "import ray.exceptions as e", ["pipeline/a.py:1 imports ray.exceptions"]),
        (jobs_only_imports, "pipeline/a.py", "import raymarch", []),
        (jobs_only_imports, "jobs/a.py", "import ray, rich, typer", []),
        (torch_imports, "schemas/a.py", "from torch import Tensor", ["schemas/a.py:1 imports torch"]),
        (torch_imports, "pipeline/a.py", "import torch", []),
        (storage_imports, "pipeline/render.py", "import fsspec", ["pipeline/render.py:1 imports fsspec"]),
        (storage_imports, "jobs/storage.py", "import s3fs", ["jobs/storage.py:1 imports s3fs"]),
        (storage_imports, "pipeline/storage/bucket.py", "import fsspec", []),
        (long_files, "a.py", "x = 1\n" * 251, ["a.py:251 251 lines, at most 250: split by what changes together"]),
        (long_files, "a.py", "x = 1\n" * 250, []),
        (long_functions, "a.py", "def f():\n" + "    x = 1\n" * 45, ["a.py:1 f has 46 lines, at most 45"]),
        (long_functions, "a.py", "def f():\n" + "    x = 1\n" * 44, []),
        (wide_functions, "a.py", f"class A:\n{ARGUMENTS}", ["a.py:2 f takes 8 arguments, at most 7: group them"]),
        (wide_functions, "a.py", "def f(a, b, c, d, e, f, g, *rest, **named): ...", []),
        (prints, "schemas/a.py", "def f():\n    print(1)", ["schemas/a.py:2 prints: return it, or log it"]),
        (prints, "jobs/a.py", "print(1)", []),
        (prints, "pipeline/a.py", "log.print(2)", []),
        (docstrings_without_a_verb, "a.py", 'def f():\n    """Gives one."""\ndef g(): ...', []),
        (docstrings_without_a_verb, "a.py", 'def f():\n    """A frame."""', [f"a.py:1 f: {NO_VERB}"]),
    ],
)
def test_each_rule_finds_what_it_is_for(rule: Rule, path: str, text: str, expected: list[str]) -> None:
    assert offenders(rule, [Source(path, text)]) == expected


def setuptools_settings() -> dict[str, object]:
    settings: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return settings


def test_pyproject_lists_every_package() -> None:
    tree = {"flowreel"} | {f"flowreel.{PurePosixPath(source.path).parent}".replace("/", ".") for source in sources()}
    listed = setuptools_settings()["packages"]
    assert listed == sorted(tree), "pyproject.toml's [tool.setuptools] packages must be the folders with code, sorted"


def test_every_package_folder_has_an_init_file() -> None:
    folders = {(ROOT / source.path).parent for source in sources()}
    missing = sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").is_file())
    assert not missing, f"without __init__.py: {missing}"


def test_pyproject_packages_every_data_file() -> None:
    data = setuptools_settings()["package-data"]
    assert isinstance(data, dict)
    folders = {package: package.removeprefix("flowreel.").replace(".", "/") for package in data}
    patterns = [f"{folders[package]}/{pattern}" for package, globs in data.items() for pattern in globs]
    files = [file for layer in LAYERS for file in (ROOT / layer).rglob("*") if file.is_file()]
    left_out = [
        file.relative_to(ROOT).as_posix()
        for file in sorted(files)
        if file.suffix != ".py"
        and "__pycache__" not in file.parts
        and not any(file.relative_to(ROOT).match(glob) for glob in patterns)
    ]
    assert not left_out, (
        f"in no package-data pattern of pyproject.toml, so missing from an installed Flowreel: {left_out}"
    )
