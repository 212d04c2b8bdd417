"""How good a generator's videos are, and what a published dataset is worth, measured on real frames.

**Read `comparison.py` first**, then `evaluate.py`; `worth.py` stands beside them.
"""
