"""What pip installs beside the base, and the one error for an extra that is missing.

The base reads, checks, reports and exports datasets. Everything else comes with the extras that are listed here.
"""

from importlib.util import find_spec

from flowreel.schemas.errors import MissingExtra

# Extra -> modules that show whether it is installed. A module that several bring stands for the first of them.
EXTRAS = {
    "render": ("ray", "safetensors", "scipy", "torch"),
    "cpu": ("numba",),
    "train": ("ray", "safetensors", "scipy", "tensorboard", "torch"),
    "cluster": ("aiohttp", "ray"),
    "torch": ("torch",),
    "onnx": ("onnxruntime",),
    "face": ("skimage",),
    "s3": ("s3fs",),
    "gcs": ("gcsfs",),
    "azure": ("adlfs",),
}


def require(what: str, *extras: str) -> None:
    """Raises MissingExtra unless the ``extras`` that ``what`` needs are installed. Imports none of them."""
    lacking = {extra: [module for module in EXTRAS[extra] if find_spec(module) is None] for extra in extras}
    modules = sorted({module for missing in lacking.values() for module in missing})
    if modules:
        raise _missing(what, modules, ",".join(extra for extra in extras if lacking[extra]))


def explain(error: ModuleNotFoundError) -> MissingExtra | None:
    """Gives the error to show for a failed import; None if no extra brings the module."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    return _missing("this", [module], extra) if extra else None


def pip_install(extras: str) -> str:
    """Gives the command that installs some extras; a comma stands between two."""
    return f'pip install "flowreel[{extras}]"'


def _missing(what: str, modules: list[str], extras: str) -> MissingExtra:
    *most, last = modules
    names, verb = (f"{', '.join(most)} and {last}", "are") if most else (last, "is")
    return MissingExtra(f"{what} needs {names}, which {verb} not installed; run: {pip_install(extras)}")
