"""How a source's label maps say what a pixel shows."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field

from flowreel.schemas.model import Model

Plain = Literal["ids", "index", "colours", "kitti-step", "coco-panoptic", "mapillary", "cityscapes-instance"]
Band = Literal["red", "green", "blue", "alpha"]


class Channel(Model):
    """Ids in one channel of a colour picture, as CARLA and AirSim write them."""

    channel: Band


class Colours(Model):
    """Colours that a CSV or JSON file names."""

    colours: Annotated[str, Field(min_length=1)]


class CocoPanoptic(Model):
    """Segments that a JSON file describes: the id of a pixel's segment is R + 256 G + 65536 B."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    coco_panoptic: Annotated[str, Field(min_length=1, alias="coco-panoptic")]


def check_encoding(value: Any) -> Any:
    """Returns what may be an encoding; `channel: red` may also be a text. Raises ValueError that lists them."""
    if isinstance(value, Model) or value in get_args(Plain):
        return value
    found = value
    if isinstance(value, str) and ": " in value:
        name, _, what = value.partition(": ")
        found = {name: what}
    if isinstance(found, dict) and len(found) == 1:
        ((name, what),) = found.items()
        known = what in get_args(Band) if name == "channel" else isinstance(what, str) and what
        if name in ("channel", "colours", "coco-panoptic", "coco_panoptic") and known:
            return found
    raise ValueError(
        f"{value!r} is no encoding; write {', '.join(get_args(Plain))}, {{channel: {'|'.join(get_args(Band))}}},"
        " {colours: FILE} or {coco-panoptic: FILE}"
    )


Encoding = Annotated[Plain | Channel | Colours | CocoPanoptic, BeforeValidator(check_encoding)]
WITH_INSTANCES = ("kitti-step", "coco-panoptic", "mapillary", "cityscapes-instance")


def kind_of(encoding: Encoding) -> str:
    """Names an encoding's kind."""
    if isinstance(encoding, str):
        return encoding
    return next(iter(encoding.model_dump(by_alias=True)))


def holds_instances(encoding: Encoding) -> bool:
    """Tells whether one file holds labels and instances."""
    return kind_of(encoding) in WITH_INSTANCES


def words(encoding: Encoding) -> str:
    """Writes an encoding as the spec does: `kitti-step`, `{channel: red}`."""
    if isinstance(encoding, str):
        return encoding
    ((name, value),) = encoding.model_dump(by_alias=True).items()
    return f"{{{name}: {value}}}"
