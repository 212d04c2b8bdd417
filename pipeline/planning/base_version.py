"""What a plan builds on: the newest version of its dataset."""

from flowreel.pipeline.dataset import versions
from flowreel.pipeline.dataset.regate import excluded
from flowreel.pipeline.dataset.versions import Version
from flowreel.pipeline.planning.planner import Published
from flowreel.pipeline.storage import NotFound, Store
from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec


def settings_there(dataset: Store) -> RenderSettings | None:
    """Gives the settings of the newest version; None if there is none."""
    newest = versions.newest(dataset)
    return newest.record.settings if newest else None


def newest_of(dataset: Store, spec: Spec) -> tuple[Version | None, Published]:
    """Gives the newest version and what it holds; another if it is dropped meanwhile, which takes a newer one."""
    while True:
        base = versions.newest(dataset)
        try:
            return base, _held(base, spec)
        except NotFound:
            if base and max(versions.numbers(dataset), default=0) <= base.number:
                raise


def _held(base: Version | None, spec: Spec) -> Published:
    """Gives what a version holds. Raises NotFound if it is dropped meanwhile."""
    if base is None:
        return Published()
    clip_ids = base.clips()["clip_id"].combine_chunks()
    same_shares = list(base.record.spec.split.items()) == list(spec.split.items())
    return Published(base.number, clip_ids, excluded(base, clip_ids, spec), base.splits() if same_shares else {})
