"""Training a generator: clips of real frames -> one load after the other -> losses -> steps (vid2vid-spec, section 10).

Read ``clip.py``, ``objective.py``, ``step.py``, then ``run.py``.
"""
