"""Packs what a job takes to a cluster: the code and the spec; refuses what must not go: secrets, local paths."""

import re
import shutil
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel

from flowreel.jobs.spec_file import spec_text
from flowreel.pipeline.storage import HARMLESS_OPTIONS, HARMLESS_VALUES
from flowreel.schemas.errors import UsageError
from flowreel.schemas.parse import parse
from flowreel.schemas.problems import SECRETS
from flowreel.schemas.spec import Spec
from flowreel.schemas.training import TrainSpec
from flowreel.schemas.variants import GENERATE

SPEC_NAME = "spec.yaml"
BUNDLED = "bundled"
_SECRET = re.compile("key|secret|token|password|credential|sas|connection_string", re.IGNORECASE)


def check_travels(job: str, place: str, overrides: Sequence[str], *, local: bool) -> str:
    """Gives the text of a spec on this machine; empty for one that the job reads itself.

    Raises UsageError for a wrong spec, for paths that exist only here, and for secrets, which Ray would keep with the
    job.
    """
    for override in overrides:
        if SECRETS in override:  # also within a group: source={storage_options: ...}
            raise UsageError(
                f"--set {SECRETS}...: the cluster shows the command line of a job to everyone; use --env NAME"
            )
    if not local:
        return ""
    text = spec_text(place)
    spec: Spec | TrainSpec
    spec = parse(TrainSpec, text, overrides, place) if job == "train" else parse(Spec, text, overrides, place)
    for name in _secret_names(spec):
        raise UsageError(
            f"{place}: {name}: secrets are not sent in specs; leave it out, and give the job its"
            " credentials with --env NAME or by the cloud identity of its nodes"
        )
    for name, uri in _uris(spec):
        if "://" not in uri and not uri.startswith("/"):
            raise UsageError(
                f"{place}: {name} '{uri}' is relative to a folder of this machine, but the job runs elsewhere; give a"
                " bucket URL, or an absolute path that exists on all nodes"
            )
    return text


def pack(folder: Path, spec: str, *, code: bool) -> None:
    """Fills the working directory of a job: the spec, and with ``code`` Flowreel's packages and their version."""
    if spec:
        (folder / SPEC_NAME).write_text(spec)
    if not code:
        return
    package = Path(__file__).parents[2]  # in a checkout it holds links to the folders at its top: they are followed
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    about = metadata.distribution("flowreel")
    record = folder / f"flowreel-{about.version}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(about.read_text("METADATA") or about.read_text("PKG-INFO") or "")


def _secret_names(model: BaseModel, place: str = "") -> Iterator[str]:
    """Yields the fields of storage options that look like secrets, in whatever part of a spec."""
    for field in type(model).model_fields:
        value = getattr(model, field)
        for number, part in enumerate(value) if isinstance(value, tuple) else [(None, value)]:
            here = f"{place}{field}" + ("" if number is None else f".{number}")
            if field == SECRETS:
                yield from (f"{here}.{name}" for name, option in _options(part) if _is_secret(name, option))
            elif isinstance(part, BaseModel):
                yield from _secret_names(part, here + ".")


def _is_secret(name: str, value: object) -> bool:
    harmless = name in HARMLESS_OPTIONS or value in tuple(HARMLESS_VALUES)
    return bool(_SECRET.search(name)) and not harmless


def _options(options: object) -> Iterator[tuple[str, object]]:
    """Yields the names and values of options, those of nested ones as well."""
    if isinstance(options, dict):
        for name, value in options.items():
            yield str(name), value
            yield from _options(value)


def _uris(spec: Spec | TrainSpec) -> Iterator[tuple[str, str]]:
    """Yields the files and folders that a spec names, each with its field."""
    several = spec.sources if isinstance(spec, TrainSpec) else ()
    named_sources = [("source", spec.source), *((f"sources.{i}", source) for i, source in enumerate(several))]
    for field, source in named_sources:
        if source and source.dataset:
            yield f"{field}.dataset", source.dataset
        elif source and not source.procedural:
            yield f"{field}.uri", source.uri
            if "/" in source.label_space or "." in source.label_space:
                yield f"{field}.label_space", source.label_space
    if isinstance(spec, TrainSpec):
        named = {
            "output": spec.output,
            "dataset": spec.dataset,
            "generator.init": spec.generator.init,
            "data.flow_weights": spec.data.flow_weights,
            "losses.perceptual_weights": spec.losses.perceptual_weights,
            "losses.segmentation_weights": spec.losses.segmentation_weights,
        }
        yield from ((name, uri) for name, uri in named.items() if uri)
        return
    yield "dataset.uri", spec.dataset.uri
    if spec.generator.checkpoint != BUNDLED:
        yield "generator.checkpoint", spec.generator.checkpoint
    if spec.quality.segmenter:
        yield "quality.segmenter", spec.quality.segmenter
    for place, style in spec.styles():
        if style != GENERATE:
            yield place, style
