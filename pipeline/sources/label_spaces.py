"""Opens label spaces by name, or from files anywhere: Flowreel's own YAML or JSON, or other formats' JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flowreel.pipeline.pointers import check_no_pointer
from flowreel.pipeline.sources.foreign_label_spaces import foreign_space
from flowreel.pipeline.sources.named_files import read_named
from flowreel.pipeline.storage import read_text, redact
from flowreel.schemas.errors import StorageError, UsageError
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.label_spaces import BUILT_IN
from flowreel.schemas.parse import check, parse_yaml


def open_label_space(name: str, options: Mapping[str, Any]) -> LabelSpace:
    """Gives a built-in label space, or reads one from a file, or from several by a name with `*`.

    Raises UsageError that names the built-in ones.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    try:
        if name.lower().endswith((".yaml", ".yml")):  # the one kind whose parser takes long
            texts = [(name, read_text(name, options))]
            check_no_pointer(texts[0][1].encode())
        else:
            texts = [(url, data.decode()) for url, data in read_named(name, options)]
        tree = _foreign([text for _, text in texts])
    except (StorageError, ValueError) as error:
        known = ", ".join(BUILT_IN)
        raise UsageError(
            f"source.label_space: '{redact(name, options)}' is neither built in ({known}) nor a readable file: {error}"
        ) from None
    if tree is None and len(texts) > 1:
        raise UsageError(f"source.label_space: '{redact(name, options)}' matches {len(texts)} files; name one")
    return check(LabelSpace, parse_yaml(texts[0][1], name) if tree is None else tree, name)


def _foreign(texts: Sequence[str]) -> dict[str, Any] | None:
    """Reads other formats' JSON; None where it is none. Raises ValueError for files that disagree."""
    if not all(text.lstrip()[:1] in ("{", "[") for text in texts):
        return None
    try:
        trees = [json.loads(text) for text in texts]
    except (ValueError, RecursionError):  # YAML begins so too
        return None
    return foreign_space(trees)
