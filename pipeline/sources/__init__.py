"""A spec's source -> checked sequences with fingerprints, and verified reads of their files. Read `find.py` first.

`keypoints` draws poses and faces, `scenes` makes procedural streets.
"""
