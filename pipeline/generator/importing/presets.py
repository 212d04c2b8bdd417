"""The official test configurations, by the name of their checkpoint folder (vid2vid and pix2pixHD, scripts/)."""

from typing import Any

from flowreel.pipeline.generator.importing.options import Options
from flowreel.schemas.errors import CheckpointError

_VID2VID: dict[str, Any] = {"n_frames": 3, "n_blocks": 9, "n_blocks_local": 3, "flow": True}
_CITY = {"label_space": "cityscapes", "label_nc": 35, "use_instance": True}
_CITY_VIDEO = _VID2VID | _CITY | {"foreground": True, "fg_labels": (26,), "ngf": 128, "n_scales": 3}
_PICTURES = _VID2VID | {"label_nc": 0, "use_instance": False, "foreground": False, "n_downsample": 3}
_FACE = _PICTURES | {"input_nc": 15}
_POSE = _PICTURES | {"input_nc": 6, "first_frames": False}
_PIX2PIXHD = _CITY | {"n_downsample": 4, "n_blocks": 9}
_GLOBAL = _PIX2PIXHD | {"kind": "global", "ngf": 64, "size": (1024, 512)}
_LOCAL = _PIX2PIXHD | {
    "kind": "local", "ngf": 32, "n_local_enhancers": 1, "n_blocks_local": 3, "size": (2048, 1024),
}  # fmt: skip

_PRESETS: dict[str, dict[str, Any]] = {
    "label2city_2048": _CITY_VIDEO | {"n_downsample": 3, "load_size": 2048, "size": (2048, 1024)},
    "label2city_1024_g1": _CITY_VIDEO | {"n_downsample": 2, "load_size": 1024, "size": (1024, 512)},
    "edge2face_512": _FACE | {"ngf": 128, "n_scales": 1, "load_size": 512, "size": (512, 512)},
    "edge2face_256_g1": _FACE | {"ngf": 64, "n_scales": 1, "load_size": 256, "size": (256, 256)},
    "edge2face_512_g1": _FACE | {"ngf": 64, "n_scales": 2, "load_size": 512, "size": (512, 512)},
    "pose2body_256p": _POSE | {"ngf": 128, "n_scales": 1, "load_size": 256},
    "pose2body_512p": _POSE | {"ngf": 128, "n_scales": 2, "load_size": 512},
    "pose2body_1024p": _POSE | {"ngf": 128, "n_scales": 3, "load_size": 1024},
    "pose2body_256p_g1": _POSE | {"ngf": 64, "n_scales": 1, "load_size": 256},
    "pose2body_512p_g1": _POSE | {"ngf": 64, "n_scales": 2, "load_size": 512},
    "pose2body_1024p_g1": _POSE | {"ngf": 64, "n_scales": 3, "load_size": 1024},
    "label2city_512p": _GLOBAL | {"feat_num": 0},
    "label2city_1024p": _LOCAL | {"feat_num": 0},
    "label2city_512p_feat": _GLOBAL | {"feat_num": 3},
    "label2city_1024p_feat": _LOCAL | {"feat_num": 3},
}
NAMES = tuple(_PRESETS)


def preset(name: str) -> Options:
    """Gives what is known of an official checkpoint. Raises CheckpointError for an unknown name, listing the known
    ones."""
    if name not in _PRESETS:
        raise CheckpointError(f"--preset {name}: no such preset; there are {', '.join(NAMES)}")
    return Options(origin=f"--preset {name}", **_PRESETS[name])
