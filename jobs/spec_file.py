"""Reads the spec of a command from a file or URL, with overrides, and fits it to where it runs."""

from collections.abc import Sequence

from flowreel.jobs.engine.cluster import fit_execution
from flowreel.jobs.terminal.progress import Display
from flowreel.pipeline.storage import NotFound, read_text
from flowreel.schemas.errors import UsageError
from flowreel.schemas.parse import parse, parse_spec
from flowreel.schemas.spec import Spec
from flowreel.schemas.training import TrainSpec


def open_spec(place: str, overrides: Sequence[str], display: Display) -> Spec:
    """Opens the checked spec of a dataset. Raises UsageError for a spec that cannot be read or is wrong."""
    return fitted(parse_spec(spec_text(place), overrides, place), display)


def fitted(spec: Spec, display: Display) -> Spec:
    """Fits a spec to this machine where no cluster is used: no more CPUs and GPUs a worker than it has."""
    return spec.model_copy(update={"execution": fit_execution(spec.execution, display.note, "rendering")})


def open_train_spec(place: str, overrides: Sequence[str], display: Display) -> TrainSpec:
    """Opens the checked spec of a training run. Raises UsageError for a spec that cannot be read or is wrong."""
    spec = parse(TrainSpec, spec_text(place), overrides, place)
    return spec.model_copy(update={"execution": fit_execution(spec.execution, display.note, "training")})


def spec_text(place: str) -> str:
    """Gives the text of a file. Raises UsageError if there is no such file, or if it is too large or holds no text."""
    try:
        return read_text(place)
    except NotFound:
        raise UsageError(f"{place}: no such file; SPEC is the path or URL of a YAML file") from None
