"""The built-in label spaces."""

from flowreel.schemas.label_space import LabelClass, LabelSpace
from flowreel.schemas.street_classes import CAMVID, CARLA, IDD, MAPILLARY, rows, train_ids_to_cityscapes

# id, name, RGB, kind, ignore. Ids, names and colours as published with Cityscapes; the licence plate, -1 there, is
# 34 here, so that all 35 have a channel (as vid2vid's 35 label channels do).
_CITYSCAPES = """
0 unlabeled 0,0,0 stuff ignore
1 ego_vehicle 0,0,0 stuff ignore
2 rectification_border 0,0,0 stuff ignore
3 out_of_roi 0,0,0 stuff ignore
4 static 0,0,0 stuff ignore
5 dynamic 111,74,0 stuff ignore
6 ground 81,0,81 stuff ignore
7 road 128,64,128 stuff
8 sidewalk 244,35,232 stuff
9 parking 250,170,160 stuff ignore
10 rail_track 230,150,140 stuff ignore
11 building 70,70,70 stuff
12 wall 102,102,156 stuff
13 fence 190,153,153 stuff
14 guard_rail 180,165,180 stuff ignore
15 bridge 150,100,100 stuff ignore
16 tunnel 150,120,90 stuff ignore
17 pole 153,153,153 stuff
18 polegroup 153,153,153 stuff ignore
19 traffic_light 250,170,30 stuff
20 traffic_sign 220,220,0 stuff
21 vegetation 107,142,35 stuff
22 terrain 152,251,152 stuff
23 sky 70,130,180 stuff
24 person 220,20,60 thing
25 rider 255,0,0 thing
26 car 0,0,142 thing
27 truck 0,0,70 thing
28 bus 0,60,100 thing
29 caravan 0,0,90 thing ignore
30 trailer 0,0,110 thing ignore
31 train 0,80,100 thing
32 motorcycle 0,0,230 thing
33 bicycle 119,11,32 thing
34 license_plate 0,0,142 stuff ignore
"""

_CAMVID11 = """
0 sky 128,128,128 stuff
1 building 128,0,0 stuff
2 pole 192,192,128 stuff
3 road 128,64,128 stuff
4 pavement 60,40,222 stuff
5 tree 128,128,0 stuff
6 sign 192,128,128 stuff
7 fence 64,64,128 stuff
8 car 64,0,128 thing
9 pedestrian 64,64,0 thing
10 bicyclist 0,128,192 thing
11 void 0,0,0 stuff ignore
"""

UNLABELED = 255  # of `person`: what the pixel shows is unknown
_PERSON = f"""
0 background 0,0,0 stuff
1 person 220,20,60 thing
{UNLABELED} unlabeled 64,64,64 stuff ignore
"""

# DensePose's parts: 1..24 in the third channel of its maps.
_DENSEPOSE = """
0 background 0,0,0 stuff
1 torso_back 200,60,60 thing
2 torso_front 230,90,90 thing
3 right_hand 255,200,60 thing
4 left_hand 60,200,255 thing
5 left_foot 60,120,255 thing
6 right_foot 255,120,60 thing
7 right_upper_leg_back 190,140,40 thing
8 left_upper_leg_back 40,140,190 thing
9 right_upper_leg_front 220,170,70 thing
10 left_upper_leg_front 70,170,220 thing
11 right_lower_leg_back 150,110,30 thing
12 left_lower_leg_back 30,110,150 thing
13 right_lower_leg_front 180,140,60 thing
14 left_lower_leg_front 60,140,180 thing
15 left_upper_arm_inside 80,200,120 thing
16 right_upper_arm_inside 200,80,200 thing
17 left_upper_arm_outside 110,230,150 thing
18 right_upper_arm_outside 230,110,230 thing
19 left_lower_arm_inside 50,160,90 thing
20 right_lower_arm_inside 160,50,160 thing
21 left_lower_arm_outside 80,190,120 thing
22 right_lower_arm_outside 190,80,190 thing
23 head_right 250,220,190 thing
24 head_left 230,200,170 thing
"""

# What vid2vid fills in between a face's 68 landmarks.
_FACE_PARTS = """
0 background 0,0,0 stuff
1 face 220,180,150 stuff
2 eyebrow 110,70,40 stuff
3 nose 240,140,110 stuff
4 eye 80,140,220 stuff
5 mouth 210,60,80 stuff
6 inner_mouth 130,20,40 stuff
"""


def _space(name: str, table: str) -> LabelSpace:
    classes = []
    for line in table.strip().splitlines():
        number, label, rgb, kind, *flags = line.split()
        r, g, b = (int(v) for v in rgb.split(","))
        thing: bool = kind == "thing"
        classes.append(
            LabelClass(
                id=int(number),
                name=label.replace("_", " "),
                color=(r, g, b),
                kind="thing" if thing else "stuff",
                ignore="ignore" in flags,
            )
        )
    return LabelSpace(name=name, classes=tuple(classes))


_TABLES = {
    "cityscapes": _CITYSCAPES, "camvid11": _CAMVID11,
    "person": _PERSON, "densepose": _DENSEPOSE, "face-parts": _FACE_PARTS,
}  # fmt: skip
_STREETS = {"camvid": CAMVID, "idd": IDD, "carla": CARLA, "mapillary-v1.2": MAPILLARY}


def _street_space(name: str, table: str) -> LabelSpace:
    classes = [
        LabelClass(id=number, name=label, color=rgb, kind="thing" if kind == "thing" else "stuff", ignore=ignored)
        for number, label, rgb, kind, _, ignored in rows(table)
    ]
    return LabelSpace(name=name, classes=tuple(classes))


def _train_ids(cityscapes: LabelSpace) -> LabelSpace:
    """Gives the label space of Cityscapes' train ids."""
    names = train_ids_to_cityscapes()
    classes = [cityscapes.by_id[cityscapes.resolve(name)].model_copy(update={"id": i}) for i, name in names.items()]
    return LabelSpace(name="cityscapes-train-ids", classes=tuple(classes))


BUILT_IN = {name: _space(name, table) for name, table in _TABLES.items()}
BUILT_IN |= {name: _street_space(name, table) for name, table in _STREETS.items()}
BUILT_IN["cityscapes-train-ids"] = _train_ids(BUILT_IN["cityscapes"])
