"""Opens label spaces by name, or from a YAML or JSON file anywhere."""

from collections.abc import Mapping
from typing import Any

from flowreel.pipeline.storage import read_text, redact
from flowreel.schemas.errors import StorageError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.parse import check, parse_yaml


def open_label_space(name: str, options: Mapping[str, Any]) -> LabelSpace:
    """Gives a built-in label space, or reads one from a file. Raises UsageError that names the built-in ones."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    try:
        text = read_text(name, options)
    except StorageError as error:
        known = ", ".join(BUILT_IN)
        raise UsageError(
            f"source.label_space: '{redact(name, options)}' is neither built in ({known}) nor a readable file: {error}"
        ) from None
    return check(LabelSpace, parse_yaml(text, name), name)
