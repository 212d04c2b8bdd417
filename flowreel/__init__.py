"""Flowreel: label-map sequences in, photoreal paired video datasets out.

    import flowreel

    spec = flowreel.load_spec("spec.yaml", ["clips.frames=16"])
    print(flowreel.plan(spec).clips_to_render)
    version = flowreel.render(spec)
    for clip in flowreel.open_dataset(spec.dataset.uri, version.number).clips():
        print(clip.clip_id, clip.image_THW3.shape, clip.label_THW.shape)

Reading needs nothing but `pip install flowreel`. `ClipDataset` and `ClipStream` give samples to PyTorch
(`flowreel[torch]`); `render` needs `flowreel[render]`, and `flowreel[cpu]` on machines without a GPU. What is not
installed raises MissingExtra, an ImportError that names the extra.

Every name is imported when it is first asked for: `import flowreel` alone imports neither PyTorch nor Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowreel.jobs.api import PlanSummary, load_spec, plan, render
    from flowreel.pipeline.dataset.versions import Version
    from flowreel.pipeline.reader.dataset import ClipData, Dataset, open_dataset
    from flowreel.pipeline.reader.torch_dataset import ClipDataset, Samples
    from flowreel.pipeline.reader.torch_stream import ClipStream
    from flowreel.schemas.errors import (
        CheckpointError,
        DamagedMedia,
        DivergedError,
        DroppedError,
        FlowreelError,
        IntegrityError,
        MissingExtra,
        OverBudget,
        SourceError,
        Stopped,
        StorageError,
        UsageError,
    )
    from flowreel.schemas.spec import Spec

    __version__: str

__all__ = [
    "CheckpointError",
    "ClipData",
    "ClipDataset",
    "ClipStream",
    "DamagedMedia",
    "Dataset",
    "DivergedError",
    "DroppedError",
    "FlowreelError",
    "IntegrityError",
    "MissingExtra",
    "OverBudget",
    "PlanSummary",
    "Samples",
    "SourceError",
    "Spec",
    "Stopped",
    "StorageError",
    "UsageError",
    "Version",
    "__version__",
    "load_spec",
    "open_dataset",
    "plan",
    "render",
]

_MODULES = {
    "jobs.api": ("PlanSummary", "load_spec", "plan", "render"),
    "pipeline.dataset.versions": ("Version",),
    "pipeline.reader.dataset": ("ClipData", "Dataset", "open_dataset"),
    "pipeline.reader.torch_dataset": ("ClipDataset", "Samples"),
    "pipeline.reader.torch_stream": ("ClipStream",),
    "schemas.spec": ("Spec",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # a type checker would take it for a promise of every name

    def __getattr__(name: str) -> object:
        """Imports a public name, once. Raises MissingExtra for a PyTorch dataset without PyTorch."""
        if name not in __all__:
            raise AttributeError(f"module 'flowreel' has no attribute {name!r}")
        if name == "__version__":
            value = import_module("importlib.metadata").version("flowreel")
        else:
            home = _HOME.get(name, "schemas.errors")
            if "torch" in home:
                import_module("flowreel.schemas.extras").require(f"flowreel.{name}", "torch")
            value = getattr(import_module(f"flowreel.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
