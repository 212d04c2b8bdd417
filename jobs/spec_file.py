"""The spec of a command: from a file or URL, with overrides, fitted to where it runs."""

from collections.abc import Sequence

from jobs.cluster import fit_to_machine
from jobs.progress import Display
from pipeline.file_uri import open_file
from pipeline.storage import NotFound
from schemas.errors import UsageError
from schemas.parse import parse_spec
from schemas.spec import Spec


def open_spec(place: str, overrides: Sequence[str], display: Display) -> Spec:
    """The checked spec. Raises UsageError for a spec that cannot be read or is wrong."""
    try:
        store, name = open_file(place)
        text = store.read(name).decode()
    except NotFound:
        raise UsageError(f"spec {place}: there is no such file; give the path or URL of a YAML file") from None
    except UnicodeDecodeError:
        raise UsageError(f"spec {place}: not a text file; give the path or URL of a YAML file") from None
    notices: list[str] = []
    spec = fit_to_machine(parse_spec(text, overrides, place), notices)
    for notice in notices:
        display.say(f"note: {notice}")
    return spec
