"""Claims about a checkpoint: by flags, by the `opt.txt` that the original writes, by a preset."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flowreel.schemas.errors import CheckpointError

Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
T = TypeVar("T")

FLAGS = {
    *("label_space", "label_nc", "input_nc", "use_instance", "fg_labels", "feat_num", "size", "load_size"),
    *("n_scales", "n_frames", "flow"),
}  # what the command line has a flag for; the weights tell the rest
_TASTES = {"size", "load_size"}  # training and testing may differ in them: the first source counts
OPT_FILE = "opt.txt"
MAX_OPT_BYTES = 2**20


class Options(BaseModel):
    """The claims of one source; None where it makes none. Names as in the configuration that they end up in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str  # how messages name the source
    label_space: str | None = None
    label_nc: Natural | None = None
    input_nc: Positive | None = None
    use_instance: bool | None = None
    foreground: bool | None = None
    fg_labels: tuple[int, ...] | None = None
    ngf: Positive | None = None
    n_downsample: Positive | None = None
    n_blocks: Positive | None = None
    n_blocks_local: Positive | None = None
    n_frames: Positive | None = None
    n_scales: Positive | None = None
    flow: bool | None = None
    first_frames: bool | None = None  # False: clips start from nothing, there is no generator of first frames
    load_size: Positive | None = None  # pixels of one side; also chooses among generators of first frames
    size: tuple[Positive, Positive] | None = None
    kind: Literal["global", "local"] | None = None  # this and the rest: of pix2pixHD
    n_local_enhancers: Positive | None = None
    feat_num: Natural | None = None


@dataclass(frozen=True)
class Claim(Generic[T]):
    """A value and the source that claims it."""

    value: T
    origin: str


@dataclass(frozen=True)
class Claims:
    """All claims. Flags decide; other sources must agree with each other."""

    flags: Options
    others: Sequence[Options] = ()

    def claim(self, name: str) -> Claim[Any] | None:
        """Gives the claim about one option, None without. Raises CheckpointError if sources disagree and no flag
        decides."""
        value = getattr(self.flags, name)
        if value is not None:
            return Claim(value, flag_of(name))
        claims = [Claim(v, o.origin) for o in self.others if (v := getattr(o, name)) is not None]
        for other in claims[1:]:
            if other.value != claims[0].value and name not in _TASTES:
                decide = f", or decide with {flag_of(name)}" if name in FLAGS else ""
                raise CheckpointError(
                    f"{name}: {shown(claims[0].value)} by {claims[0].origin}, {shown(other.value)} by {other.origin};"
                    f" leave --preset out or move {OPT_FILE} away{decide}"
                )
        return claims[0] if claims else None

    def value(self, name: str, default: Any = None) -> Any:
        claim = self.claim(name)
        return default if claim is None else claim.value


def flag_of(name: str) -> str:
    """Gives the command line's flag for one of FLAGS."""
    special = {"use_instance": "--use-instance / --no-instance", "flow": "--flow / --no-flow"}
    return special.get(name, "--" + name.replace("_", "-"))


def shown(value: object) -> str:
    """Formats a value as people write it: without the brackets of tuples."""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def read_opt(data: bytes, where: str) -> Options:
    """Parses an `opt.txt`: lines `name: value` in any order, of vid2vid or pix2pixHD, training or testing.

    Other lines are skipped, as are unknown names. Raises CheckpointError for a known name with an impossible value, or
    if no name is known: then it is not such a file.
    """
    raw: dict[str, Any] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, colon, text = line.partition(":")
        if colon and name.strip().isidentifier():
            raw[name.strip()] = _literal(text.partition("[default:")[0].strip())
    known = {"label_nc", "input_nc", "ngf", "n_scales_spatial", "n_frames_G", "netG"} & set(raw)
    if not known:
        raise CheckpointError(f"{where} holds no `name: value` lines of vid2vid or pix2pixHD; move it away, or fix it")
    claims = _of_pix2pixhd(raw) if raw.get("netG") in ("global", "local") else _of_vid2vid(raw)
    try:
        return Options.model_validate({"origin": OPT_FILE, **{k: v for k, v in claims.items() if v is not None}})
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise CheckpointError("\n".join([f"{where} says what cannot be:", *lines])) from None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _of_vid2vid(raw: dict[str, Any]) -> dict[str, Any]:
    """Translates vid2vid's names to ours. `openpose_only` switches the flow off, as in the original."""
    no_flow = raw.get("no_flow"), raw.get("openpose_only")
    foreground, fg_labels = raw.get("fg"), raw.get("fg_labels")
    return {
        **_channels(raw, raw.get("use_instance")),
        "foreground": foreground,
        "fg_labels": fg_labels_of(fg_labels) if foreground and fg_labels is not None else None,
        "ngf": raw.get("ngf"),
        "n_downsample": raw.get("n_downsample_G"),
        "n_blocks": raw.get("n_blocks"),
        "n_blocks_local": raw.get("n_blocks_local"),
        "n_frames": raw.get("n_frames_G"),
        "n_scales": raw.get("n_scales_spatial"),
        "flow": None if no_flow == (None, None) else not any(no_flow),
        "first_frames": False if raw.get("no_first_img") is True else None,
        "load_size": raw.get("loadSize"),
    }


def _of_pix2pixhd(raw: dict[str, Any]) -> dict[str, Any]:
    no_instance = raw.get("no_instance")
    features = [raw[name] for name in ("instance_feat", "label_feat") if name in raw]
    local = raw["netG"] == "local"
    return {
        **_channels(raw, not no_instance if isinstance(no_instance, bool) else no_instance),
        "kind": raw["netG"],
        "ngf": raw.get("ngf"),
        "n_downsample": raw.get("n_downsample_global"),
        "n_blocks": raw.get("n_blocks_global"),
        "n_blocks_local": raw.get("n_blocks_local") if local else None,
        "n_local_enhancers": raw.get("n_local_enhancers") if local else None,
        "feat_num": (raw.get("feat_num") if any(features) else 0) if features else None,
    }


def _channels(raw: dict[str, Any], use_instance: Any) -> dict[str, Any]:
    """Reads the channels: `input_nc` counts only where there are no labels; files without labels mean their default."""
    labels = raw.get("label_nc")
    return {"label_nc": labels, "input_nc": None if labels else raw.get("input_nc"), "use_instance": use_instance}


def fg_labels_of(value: Any) -> Any:
    """Parses `26`, `"24,26"` or `[24, 26]` to a tuple of label ids; anything else is left for validation to refuse."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return tuple(value) if isinstance(value, list | tuple) else (value,)
