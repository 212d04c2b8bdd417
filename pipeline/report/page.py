"""Writes the report of a version: facts, chosen clips and their players on one page."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.report import sections, styles
from flowreel.pipeline.report.browser import browser, plots
from flowreel.pipeline.report.facts import ClipFacts, gather
from flowreel.pipeline.report.measures import MEASURES
from flowreel.pipeline.report.pick_clips import outliers, shown
from flowreel.pipeline.report.players import Player, player, read_clip, series_of
from flowreel.pipeline.report.template import fill
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.version import VersionRecord

LISTED = 5000  # clips; those with a player always are
THREADS = 4  # clips whose players are made at the same time: each is in memory as a whole
VIDEO_BYTES = 20_000_000  # of all videos and posters: a page stays below 30 MB
PANELS = ("render", "labels", "flow", "instances")
REPORT = "report/index.html"  # in a version's folder
BESIDE = "../../.."
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """Options of a report."""

    players: int  # clips that are shown as video, at most
    root: str = BESIDE  # what links to data files begin with; the default is for a page at REPORT
    price: float | None = None  # of a worker's hour, in any currency


def report(version: Version, wanted: Wanted, progress: Progress | None = None) -> str:
    """Writes one HTML file."""
    record = version.record
    facts = gather(version)
    space = LabelSpace.model_validate(record.label_space)
    chosen = shown(facts, wanted.players)
    places = sorted({*range(min(facts.clip_count, LISTED)), *chosen})
    clips = facts.clips(places)
    made = _players(version, clips, [places.index(i) for i in chosen], space, progress)
    measures = [m for m in MEASURES if m.column in facts.histograms]
    data = browser(clips, made, measures, wanted.root) | plots(facts.histograms, record.spec.quality)
    data |= {"total": facts.clip_count, "fps": record.spec.source.fps, "panels": PANELS, "size": _panel_size(made)}
    data["odd"] = outliers(facts, places)
    data["variants"] = [{"number": i, "description": _described(record, i)} for i in sorted({c.variant for c in clips})]
    context = _context(version, facts.classes, space) | {"stats": sections.stats(version, wanted.price)}
    context |= {"styles": styles.rows(styles.strength(version, facts))}
    return fill(context | {"videos": [(i, p.video) for i, p in made.items()]}, data)


def _players(
    version: Version, clips: Sequence[ClipFacts], chosen: Sequence[int], space: LabelSpace, progress: Progress | None
) -> dict[int, Player]:
    """Makes players by place in ``clips``, for as many of the chosen ones as there is room for."""
    series = series_of(version, [clips[i] for i in chosen])
    players: dict[int, Player] = {}
    room = VIDEO_BYTES

    def made(i: int) -> Player:
        data = read_clip(version, clips[i])
        return player(data, series.get(clips[i].clip_id, {}), space, version.record.spec.source.fps)

    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for done, (i, new) in enumerate(zip(chosen, pool.map(made, chosen), strict=True), start=1):
            room -= new.size
            if room < 0 and players:
                pool.shutdown(wait=False, cancel_futures=True)
                break
            players[i] = new
            if progress:
                progress(done, len(chosen))
    return dict(sorted(players.items()))


def _panel_size(players: dict[int, Player]) -> tuple[int, int]:
    """Gives width and height of all panels together, which all videos of a version share."""
    return next((p.shape for p in players.values()), (2, 1))


def _described(record: VersionRecord, variant: int) -> str:
    if variant >= len(record.spec.variants):
        return "from an earlier spec"
    wanted = record.spec.variants[variant]
    return ", ".join([wanted.appearance, *map(str, wanted.edits)])


def _context(version: Version, found: Any, space: LabelSpace) -> dict[str, Any]:
    record = version.record
    rows, matrix = sections.classes(found, space, record.counts.frames)
    pairs, documents = sections.lineage(record)
    names = ("summary", "clips", "quality", "classes", "losses", "work", "lineage")
    titles = ("Summary", "Clips", "Quality", "Classes", "Losses", "Throughput", "Lineage")
    return {
        "title": f"{record.name}, version {version.number}",
        "name": record.name,
        "heading": f"{record.name}, version {version.number}",
        "lead": f"Published {sections.when(record.created)} from {record.spec.source.place}",
        "sections": list(zip(names, titles, strict=True)),
        "versions": sections.published(version),
        "change": sections.change(record),
        "quality_hint": "Counted over frames. Red lines are the gates of the spec: clips beyond them were rejected."
        " Click a bar to see the clips whose worst frame falls into it.",
        "classes": rows,
        "together": matrix,
        "work": sections.throughput(record.work),
        "lineage": pairs,
        "documents": documents,
        **sections.losses(version),
    }
