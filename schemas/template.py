"""Templates such as `{sequence}/labels/*.png`, which say where the files of frames lie."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from flowreel.schemas.containers import container_of, is_container, with_frames

SEQUENCE = "{sequence}"
ONLY_FRAME = "0"  # the name of the frame where each file is a sequence of its own


def check_template(template: str) -> str:
    """Returns the template, with its frames where it names a video. Raises ValueError if it is not a template of
    frames."""
    if "://" in template:
        raise ValueError("a URL, which is not shown; give it as source.uri, and here the path below it")
    template = with_frames(template)
    container_of(template)  # raises for archives that cannot be read in parts
    if template.count(SEQUENCE) != 1:
        found = "missing from" if SEQUENCE not in template else "more than once in"
        raise ValueError(
            f"'{SEQUENCE}' is {found} '{template}'; write it as in '{{sequence}}/labels/*.png', or"
            " '{sequence}_*.png' where all files lie in one folder"
        )
    folder, _, name = template.rpartition("/")
    frames = name.count("*")
    plain = [part for part in folder.split("/") if not is_container(part)]  # in containers' names, * is any text
    if any("*" in part for part in plain) or frames > 1 or (not frames and SEQUENCE not in name):
        raise ValueError(
            f"'{template}' must have one '*' in the file name, which stands for the frame: '{{sequence}}/labels/*.png',"
            " '{sequence}_*.png'; or '{sequence}' there and no '*', if each file is a sequence of its own"
        )
    if SEQUENCE + "*" in name or "*" + SEQUENCE in name:
        raise ValueError(f"'{template}' must have something between '{SEQUENCE}' and '*'; for example '{{sequence}}_*'")
    if "\\" in template or any(part in ("", ".", "..") for part in template.split("/")):
        raise ValueError(f"'{template}' must be relative to source.uri, without empty parts, '.', '..' or '\\'")
    return template


FrameTemplate = Annotated[str, AfterValidator(check_template)]


def paths_of(template: str, sequence: str) -> Callable[[str], str]:
    """Gives what turns the name of a frame of one sequence into the path of its file."""
    if "*" not in template.rpartition("/")[2]:
        return lambda name: template.replace(SEQUENCE, sequence)
    before, _, after = (part.replace(SEQUENCE, sequence) for part in template.rpartition("*"))
    return lambda name: f"{before}{name}{after}"
