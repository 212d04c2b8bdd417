"""Opens the containers that a source's templates or columns name."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from flowreel.pipeline.sources.containers.archives import tar_members, zip_members
from flowreel.pipeline.sources.containers.cells import parquet_cells
from flowreel.pipeline.sources.containers.members import FRAME, MEMBERS, OPENED, Member, by_container, rows_of
from flowreel.pipeline.sources.containers.store import ContainerStore
from flowreel.pipeline.sources.containers.windows import WindowedFile
from flowreel.pipeline.sources.system_names import system_names
from flowreel.pipeline.storage import FileInfo, Store
from flowreel.schemas.containers import ColumnsSpec, container_of, is_video
from flowreel.schemas.errors import SourceError
from flowreel.schemas.source import SourceSpec

OPENERS = 16  # containers that are opened at the same time
_SHOWN = 12  # problems in a message: one screen
Members = Callable[[FileInfo], Iterator[Member]]


@dataclass(frozen=True)
class Found:
    """A container of the source, and what its members' paths begin with."""

    info: FileInfo
    path: str

    @property
    def state(self) -> str:
        """Names its present content: while it is the same, so are its members."""
        return f"{self.info.size}|{self.info.tag}"


def with_members(store: Store, source: SourceSpec, known: Callable[[], pa.Table], images: str | None = None) -> Store:
    """Gives the source's files with the members of its containers; the store itself if the source names none.

    ``known``: gives MEMBERS of an earlier run, so that unchanged containers are only listed; ``images``: the
    template of real images, where they are read. Raises SourceError for containers that are damaged or lossy,
    StorageError if the source cannot be listed or read.
    """
    base = Store(store.uri, store._options)
    if source.columns:
        cells = _named_properly(base.list(pattern=source.columns.files))
        if not cells:
            raise SourceError(f"{base.uri}: no file matches source.columns.files '{source.columns.files}'")
        read: Members = partial(parquet_cells, base, columns=source.columns)
        # Other columns name other members, also of unchanged files: nothing is kept of them.
        rows = _opened([Found(info, info.path) for info in cells], MEMBERS.empty_table(), read)
        return ContainerStore(base.uri, base._options, _cells(rows, source, source.columns))
    patterns = list(dict.fromkeys(p for t in (*source.templates, images or "") if (p := container_of(t))))
    if not patterns:
        return base
    found = list(_containers(base, patterns))
    rows = _opened(found, known(), partial(_members, base))
    members = _named(base, rows, {each.info.path: each.path for each in found})
    store = ContainerStore(base.uri, base._options, members)
    _check_rates(store, source)
    return store


def _containers(store: Store, patterns: list[str]) -> Iterator[Found]:
    """Yields the files that match the templates' containers, sorted by path."""
    seen = set()
    for pattern in patterns:
        *folder, name = pattern.split("/")
        stem, ending = pattern.rsplit(".", 1)
        text = re.escape(stem).replace(re.escape("{sequence}"), ".+").replace(r"\*", "[^/]*")
        match = re.compile(rf"{text}\.(?i:{re.escape(ending)})").fullmatch
        for info in _named_properly(info for page in store.pages(_prefix(folder)) for info in page):
            if info.path not in seen and match(info.path):
                seen.add(info.path)
                above = info.path.rpartition("/")[0]
                shared = f"{above}/{name}".lstrip("/")  # of shards: all that match are one folder
                yield Found(info, shared if "*" in name else f"{info.path.rsplit('.', 1)[0]}.{ending}")


def _named_properly(infos: Iterable[FileInfo]) -> list[FileInfo]:
    """Gives the files without hidden and system names, sorted by path."""
    found = sorted(infos, key=lambda info: info.path)
    odd = system_names(pa.array([info.path for info in found], pa.string())).is_valid().to_pylist()
    return [info for info, is_odd in zip(found, odd, strict=True) if not is_odd]


def _prefix(folder: list[str]) -> str:
    fixed = []
    for part in folder:
        if "{sequence}" in part or "*" in part:
            break
        fixed.append(part)
    return "/".join(fixed)


def _members(store: Store, info: FileInfo) -> Iterator[Member]:
    file, url = WindowedFile(store, info.path, info.size), store.url(info.path)
    if is_video(info.path):
        from flowreel.pipeline.sources.containers.video import video_members  # PyAV: for those who have videos only

        return video_members(file, url)
    return (zip_members if info.path.lower().endswith(".zip") else tar_members)(file, url)


def _opened(found: list[Found], known: pa.Table, members: Members) -> pa.Table:
    """Gives the rows of all containers, from ``known`` where they have not changed. Raises SourceError that names all
    damaged ones."""
    kept = {(path, state): rows for path, state, rows in by_container(known)}

    def one(each: Found) -> pa.Table | SourceError:
        if (each.info.path, each.state) in kept:
            return kept[each.info.path, each.state]
        try:
            return rows_of(each.info.path, each.state, list(members(each.info)))
        except SourceError as error:
            return error

    with ThreadPoolExecutor(OPENERS) as pool:
        tables = list(pool.map(one, found))
    problems = [str(table) for table in tables if isinstance(table, SourceError)]
    if problems:
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise SourceError("\n".join([*problems[:_SHOWN], *more]))
    return pa.concat_tables([MEMBERS.empty_table(), *tables]).unify_dictionaries().combine_chunks()


def _named(store: Store, rows: pa.Table, paths: dict[str, str]) -> pa.Table:
    """Adds the members' paths, given those of their containers. Raises SourceError for two of one path."""
    parts = [OPENED.empty_table()]
    for container, _, table in by_container(rows):
        path = pc.binary_join_element_wise(
            pa.scalar(paths[container], pa.large_string()), table["name"], pa.scalar("/", pa.large_string())
        )
        _check_masks(store, container, table)
        parts.append(_with(table, path, None))
    return _unique(pa.concat_tables(parts).unify_dictionaries().combine_chunks())


def _cells(rows: pa.Table, source: SourceSpec, columns: ColumnsSpec) -> pa.Table:
    """Gives cells the paths that the templates have for their sequences and frames."""
    split = pc.extract_regex(rows["name"], r"(?s)\A(?P<sequence>.*)/(?P<frame>[^/]*)\z").combine_chunks()
    sequence, frame = (pc.struct_field(split, name).cast(pa.large_string()) for name in ("sequence", "frame"))
    roles = (
        (source.labels, columns.label), (source.instances, columns.instance), (source.images, columns.image),
    )  # fmt: skip
    parts = [OPENED.empty_table()]
    for template, column in roles:
        if template and column:
            before, between, after = re.split(r"\{sequence\}|\*", template)
            texts = [pa.scalar(text, pa.large_string()) for text in (before, between, after, "")]
            path = pc.binary_join_element_wise(texts[0], sequence, texts[1], frame, texts[2], texts[3])
            parts.append(_with(rows, path, column))
    return _unique(pa.concat_tables(parts).unify_dictionaries().combine_chunks())


def _check_masks(store: Store, container: str, members: pa.Table) -> None:
    """Raises SourceError for Label Studio's export of brushes: masks of single labels, which are no label maps."""
    masks = pc.match_substring_regex(members["name"], r"(?:^|/)task-\d+-annotation-\d+-by-.*-tag-.*-\d+\.(?:png|npy)$")
    for name in members["name"].filter(masks).slice(0, 1).to_pylist():
        raise SourceError(
            f"{store.url(container)}: an export of Label Studio with one mask per task and label, first '{name}'; put"
            " those of a task together into one label map: docs/sources.md, Label Studio, has the few lines it takes"
        )


def _with(rows: pa.Table, path: pa.Array, column: str | None) -> pa.Table:
    columns = [path, pa.array([column] * len(rows), pa.string()), *rows.columns]
    return pa.table(columns, schema=OPENED)


def _unique(members: pa.Table) -> pa.Table:
    """Returns the members. Raises SourceError if two have one path."""
    if pc.count_distinct(members["path"]).as_py() < len(members):
        path, _ = Counter(members["path"].to_pylist()).most_common(1)[0]
        twice = members.filter(pc.equal(members["path"], path))
        holders = " and ".join(dict.fromkeys(twice["container"].cast(pa.string()).to_pylist()))
        raise SourceError(f"'{path}' is there {len(twice)} times, in {holders}; each frame must be there once")
    return members


def _check_rates(store: ContainerStore, source: SourceSpec) -> None:
    """Raises SourceError for videos whose frame rate is not the spec's, unless the spec states it."""
    if "fps" in source.model_fields_set:
        return
    frames = store.members.filter(pc.equal(store.members["method"], FRAME))
    for container, _, rows in by_container(frames.select(MEMBERS.names)):
        fps = rows["packed"][0].as_py() / 1000
        if abs(fps - source.fps) > 0.01 * source.fps:
            raise SourceError(
                f"{store.base.url(container)}: {fps:g} frames a second, but source.fps is {source.fps:g}, its default;"
                f" state it: source.fps: {fps:g}, or what is right for these frames"
            )
