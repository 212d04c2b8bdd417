"""Publishes outcomes as a version with its manifest. Read `draft.py`, then `commit.py`."""
