"""Poses and faces as a source: files become conditioning pictures, label maps and keypoints. Read `frames.py` first."""
