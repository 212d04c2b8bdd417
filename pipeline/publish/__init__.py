"""Outcomes -> manifest -> version. Read `draft.py`, then `commit.py`."""
