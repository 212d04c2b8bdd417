"""Trains a generator on clips of real frames, chunk by chunk: losses, then steps (vid2vid-spec, section 10).

Read ``data/training_clip.py``, ``objective/objective.py``, ``step.py``, then ``run.py``.
"""
