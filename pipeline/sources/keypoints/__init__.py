"""Poses and faces as a source: files -> conditioning pictures, label maps and keypoints. Read `frames.py` first."""
