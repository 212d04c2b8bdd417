"""Fields of a spec, with what became of its `auto` values, that decide clips; and which of them differ."""

from collections.abc import Iterator
from typing import Any, Protocol

from flowreel.schemas.plan import RenderSettings
from flowreel.schemas.spec import Spec


class Deciding(Protocol):
    """A version's record, or what a plan would publish."""

    @property
    def spec(self) -> Spec: ...
    @property
    def settings(self) -> RenderSettings: ...
    @property
    def label_space(self) -> dict[str, Any]: ...
    @property
    def render_format(self) -> int: ...


def deciding_fields(of: Deciding) -> dict[str, Any]:
    """Collects what decides clips from a version's record, as a tree of plain values."""
    spec = of.spec.model_dump(mode="json", by_alias=True, exclude={"dataset", "execution", "failure"})
    settings = of.settings
    spec["generator"] |= {"size": list(settings.size), "precision": settings.precision, "digest": settings.generator}
    spec["source"]["label_space"] = f"{spec['source']['label_space']}, version {of.label_space['version']}"
    found = {"render_format": of.render_format}
    if settings.none_rules:
        spec["source"]["no_instance"] = settings.none_rules
    return spec | found


def changed_fields(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """Yields fields that differ, as "name: old -> new"."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys(), key=str):
            yield from changed_fields(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif old != new:
        yield f"{name}: {old} -> {new}"
