"""Files that hold many files, in templates: ``{sequence}.tar/labels/*.png``, ``{sequence}.mkv``."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from flowreel.schemas.model import Model

ARCHIVES = (".tar", ".zip")
VIDEOS = (".mkv", ".mov", ".mp4", ".m4v", ".avi", ".webm", ".nut")
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")


class ColumnsSpec(Model):
    """Columns of Parquet files, as Hugging Face's `datasets` writes them: one row per frame."""

    sequence: str | None = Field(None, description="the column that names the sequence; default: each file is one")
    frame: str | None = Field(
        None, description="the column that names or numbers the frame; default: numbered in the order of the rows"
    )
    label: str = Field("label", description="label maps: binary, or struct<bytes, path> as Hugging Face stores images")
    instance: str | None = Field(None, description="instance maps")
    image: str | None = Field(None, description="real images, for training")
    files: str = Field("**/*.parquet", description="which files below source.uri; for example data/train-*.parquet")


def check_templates(columns: ColumnsSpec, instances: str | None, images: str | None) -> None:
    """Raises ValueError if a column has no template, which names its frames, or a template no column."""
    for field, column, template in (("instance", columns.instance, instances), ("image", columns.image, images)):
        if column and not template:
            raise ValueError(
                f"columns.{field} is given, but {field}s is not, which names its frames; add {field}s:"
                f" '{{sequence}}/{field}s/*.png'"
            )
        if template and not column:
            raise ValueError(f"{field}s is given, but columns.{field} is not; name the column, or leave {field}s out")


def is_container(name: str) -> bool:
    """Tells whether a path's part names a file that holds many files."""
    return name.lower().endswith((*ARCHIVES, *VIDEOS))


def is_video(name: str) -> bool:
    """Tells whether a file is a video by its name."""
    return name.lower().endswith(VIDEOS)


def check_folder(uri: str) -> str:
    """Returns the URI of a folder. Raises ValueError if it is one of a container."""
    name = uri.rstrip("/").rpartition("/")[2]
    if is_container(name):
        ending = name.rpartition(".")[2]
        example = f"{{sequence}}.{ending}" if is_video(name) else f"{name}/{{sequence}}/labels/*.png"
        raise ValueError(
            f"'{name}' is one file; give the folder that holds it, and name it in the templates, for example labels:"
            f" '{example}'"
        )
    return uri


FolderUri = Annotated[str, AfterValidator(check_folder)]


def with_frames(template: str) -> str:
    """Gives a template with its frames: that of a video, ``{sequence}.mkv``, holds them all: ``{sequence}.mkv/*``."""
    return f"{template}/*" if is_video(template) and template.count("*") == 0 else template


def container_of(template: str) -> str | None:
    """Gives the part of a template that names its containers, such as ``{sequence}.tar``; None if it has none.

    Raises ValueError for archives that cannot be read in parts.
    """
    parts = template.split("/")
    for i, part in enumerate(parts):
        if part.lower().endswith(COMPRESSED):
            raise ValueError(
                f"'{template}': a compressed archive cannot be read in parts; store it as .tar or .zip: PNGs are"
                " compressed already"
            )
        if is_container(part) and i < len(parts) - 1:
            return "/".join(parts[: i + 1])
    if parts[-1].lower().endswith(ARCHIVES):
        raise ValueError(f"'{template}' names an archive; say which files in it: '{template}/*.png'")
    return None


def without_container(template: str) -> str:
    """Gives the template of the same frames as single files: what ids of clips rest on, however frames are stored.

    ``{sequence}.tar/labels/*.png`` -> ``{sequence}/labels/*.png``; ``shard-*.tar/{sequence}_*.png`` ->
    ``{sequence}_*.png``.
    """
    parts = template.split("/")
    kept = [re.sub(r"\.\w+\Z", "", p) if is_container(p) else p for p in parts[:-1] if _names(p)]
    return "/".join([*kept, parts[-1]])


def _names(part: str) -> bool:
    return "{sequence}" in part or not is_container(part)
