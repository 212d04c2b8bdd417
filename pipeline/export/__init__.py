"""Exports versions to other formats: one file per format, `run.py` for what they share."""
