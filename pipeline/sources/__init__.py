"""Turns a spec's source into checked sequences with fingerprints, and reads their files verified. Read `find.py` first.

`keypoints` draws poses and faces, `scenes` makes procedural streets.
"""
