"""Classes of street formats, as their owners publish them, and what each is in Cityscapes' label space.

A line is: id, name, RGB, kind, class of `cityscapes`, and `ignore` for what does not count in quality measures.
"""

# CamVid's 32 classes in the order of their names, which the format numbers in no way; Void is 0.
CAMVID = """
0 Void 0,0,0 stuff unlabeled ignore
1 Animal 64,128,64 thing dynamic
2 Archway 192,0,128 stuff building
3 Bicyclist 0,128,192 thing rider
4 Bridge 0,128,64 stuff bridge
5 Building 128,0,0 stuff building
6 Car 64,0,128 thing car
7 CartLuggagePram 64,0,192 thing dynamic
8 Child 192,128,64 thing person
9 Column_Pole 192,192,128 stuff pole
10 Fence 64,64,128 stuff fence
11 LaneMkgsDriv 128,0,192 stuff road
12 LaneMkgsNonDriv 192,0,64 stuff road
13 Misc_Text 128,128,64 stuff static
14 MotorcycleScooter 192,0,192 thing motorcycle
15 OtherMoving 128,64,64 thing dynamic
16 ParkingBlock 64,192,128 stuff static
17 Pedestrian 64,64,0 thing person
18 Road 128,64,128 stuff road
19 RoadShoulder 128,128,192 stuff ground
20 Sidewalk 0,0,192 stuff sidewalk
21 SignSymbol 192,128,128 stuff traffic_sign
22 Sky 128,128,128 stuff sky
23 SUVPickupTruck 64,128,192 thing car
24 TrafficCone 0,0,64 stuff static
25 TrafficLight 0,64,64 stuff traffic_light
26 Train 192,64,128 thing train
27 Tree 128,128,0 stuff vegetation
28 Truck_Bus 192,128,192 thing truck
29 Tunnel 64,0,64 stuff tunnel
30 VegetationMisc 192,192,0 stuff vegetation
31 Wall 64,192,0 stuff wall
"""

# The India Driving Dataset's level3Ids, which `createLabels.py` of its public code writes.
IDD = """
0 road 128,64,128 stuff road
1 parking_/_drivable_fallback 250,170,160 stuff parking
2 sidewalk 244,35,232 stuff sidewalk
3 rail_track_/_non-drivable_fallback 152,251,152 stuff terrain
4 person_/_animal 220,20,60 thing person
5 rider 255,0,0 thing rider
6 motorcycle 0,0,230 thing motorcycle
7 bicycle 119,11,32 thing bicycle
8 autorickshaw 255,204,54 thing car
9 car 0,0,142 thing car
10 truck 0,0,70 thing truck
11 bus 0,60,100 thing bus
12 vehicle_fallback 136,143,153 thing dynamic
13 curb 220,190,40 stuff sidewalk
14 wall 102,102,156 stuff wall
15 fence 190,153,153 stuff fence
16 guard_rail 180,165,180 stuff guard_rail
17 billboard 174,64,67 stuff static
18 traffic_sign 220,220,0 stuff traffic_sign
19 traffic_light 250,170,30 stuff traffic_light
20 pole 153,153,153 stuff pole
21 obs-str-bar-fallback 169,187,214 stuff static
22 building 70,70,70 stuff building
23 bridge_/_tunnel 150,100,100 stuff bridge
24 vegetation 107,142,35 stuff vegetation
25 sky_/_fallback_background 70,130,180 stuff sky
255 unlabeled 0,0,0 stuff unlabeled ignore
"""

# Tags of CARLA from 0.9.14 on.
CARLA = """
0 unlabeled 0,0,0 stuff unlabeled ignore
1 roads 128,64,128 stuff road
2 sidewalks 244,35,232 stuff sidewalk
3 building 70,70,70 stuff building
4 wall 102,102,156 stuff wall
5 fence 190,153,153 stuff fence
6 pole 153,153,153 stuff pole
7 traffic_light 250,170,30 stuff traffic_light
8 traffic_sign 220,220,0 stuff traffic_sign
9 vegetation 107,142,35 stuff vegetation
10 terrain 152,251,152 stuff terrain
11 sky 70,130,180 stuff sky
12 pedestrian 220,20,60 thing person
13 rider 255,0,0 thing rider
14 car 0,0,142 thing car
15 truck 0,0,70 thing truck
16 bus 0,60,100 thing bus
17 train 0,80,100 thing train
18 motorcycle 0,0,230 thing motorcycle
19 bicycle 119,11,32 thing bicycle
20 static 110,190,160 stuff static
21 dynamic 170,120,50 stuff dynamic
22 other 55,90,80 stuff unlabeled ignore
23 water 45,60,150 stuff unlabeled
24 road_line 157,234,50 stuff road
25 ground 81,0,81 stuff ground
26 bridge 150,100,100 stuff bridge
27 rail_track 230,150,140 stuff rail_track
28 guard_rail 180,165,180 stuff guard_rail
29 rock 130,100,60 stuff static
"""

# Mapillary Vistas v1.2, in the order of its config_v1.2.json.
MAPILLARY = """
0 Bird 165,42,42 thing dynamic
1 Ground_Animal 0,192,0 thing dynamic
2 Curb 196,196,196 stuff sidewalk
3 Fence 190,153,153 stuff fence
4 Guard_Rail 180,165,180 stuff guard_rail
5 Barrier 90,120,150 stuff fence
6 Wall 102,102,156 stuff wall
7 Bike_Lane 128,64,255 stuff road
8 Crosswalk_-_Plain 140,140,200 thing road
9 Curb_Cut 170,170,170 stuff sidewalk
10 Parking 250,170,160 stuff parking
11 Pedestrian_Area 96,96,96 stuff sidewalk
12 Rail_Track 230,150,140 stuff rail_track
13 Road 128,64,128 stuff road
14 Service_Lane 110,110,110 stuff road
15 Sidewalk 244,35,232 stuff sidewalk
16 Bridge 150,100,100 stuff bridge
17 Building 70,70,70 stuff building
18 Tunnel 150,120,90 stuff tunnel
19 Person 220,20,60 thing person
20 Bicyclist 255,0,0 thing rider
21 Motorcyclist 255,0,100 thing rider
22 Other_Rider 255,0,200 thing rider
23 Lane_Marking_-_Crosswalk 200,128,128 thing road
24 Lane_Marking_-_General 255,255,255 stuff road
25 Mountain 64,170,64 stuff terrain
26 Sand 230,160,50 stuff terrain
27 Sky 70,130,180 stuff sky
28 Snow 190,255,255 stuff terrain
29 Terrain 152,251,152 stuff terrain
30 Vegetation 107,142,35 stuff vegetation
31 Water 0,170,30 stuff unlabeled
32 Banner 255,255,128 thing static
33 Bench 250,0,30 thing static
34 Bike_Rack 100,140,180 thing static
35 Billboard 220,220,220 thing static
36 Catch_Basin 220,128,128 thing road
37 CCTV_Camera 222,40,40 thing static
38 Fire_Hydrant 100,170,30 thing static
39 Junction_Box 40,40,40 thing static
40 Mailbox 33,33,33 thing static
41 Manhole 100,128,160 thing road
42 Phone_Booth 142,0,0 thing static
43 Pothole 70,100,150 stuff road
44 Street_Light 210,170,100 thing pole
45 Pole 153,153,153 thing pole
46 Traffic_Sign_Frame 128,128,128 thing static
47 Utility_Pole 0,0,80 thing pole
48 Traffic_Light 250,170,30 thing traffic_light
49 Traffic_Sign_(Back) 192,192,192 thing static
50 Traffic_Sign_(Front) 220,220,0 thing traffic_sign
51 Trash_Can 140,140,20 thing static
52 Bicycle 119,11,32 thing bicycle
53 Boat 150,0,255 thing dynamic
54 Bus 0,60,100 thing bus
55 Car 0,0,142 thing car
56 Caravan 0,0,90 thing caravan
57 Motorcycle 0,0,230 thing motorcycle
58 On_Rails 0,80,100 stuff train
59 Other_Vehicle 128,64,64 thing dynamic
60 Trailer 0,0,110 thing trailer
61 Truck 0,0,70 thing truck
62 Wheeled_Slow 0,0,192 thing dynamic
63 Car_Mount 32,32,32 stuff ego_vehicle ignore
64 Ego_Vehicle 120,10,10 stuff ego_vehicle ignore
65 Unlabeled 0,0,0 stuff unlabeled ignore
"""

# Cityscapes' classes in the order of its train ids, 0 to 18.
TRAIN_IDS = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
VOID = 255  # the train id of all that does not count


def rows(table: str) -> list[tuple[int, str, tuple[int, int, int], str, str, bool]]:
    """Parses a table: id, name, RGB, kind, class of `cityscapes`, ignored or not."""
    found = []
    for line in table.strip().splitlines():
        number, name, rgb, kind, target, *flags = line.split()
        red, green, blue = (int(value) for value in rgb.split(","))
        found.append((int(number), _words(name), (red, green, blue), kind, _words(target), "ignore" in flags))
    return found


def to_cityscapes(table: str) -> dict[int, str]:
    """Gives the remap from a format's ids to the classes of `cityscapes`."""
    return {number: target for number, _, _, _, target, _ in rows(table)}


def train_ids_to_cityscapes() -> dict[int, str]:
    """Gives the remap from Cityscapes' train ids to the classes of `cityscapes`."""
    return {**dict(enumerate(TRAIN_IDS)), VOID: "unlabeled"}


def _words(name: str) -> str:
    return name.replace("_", " ")
