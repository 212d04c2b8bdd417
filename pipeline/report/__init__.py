"""Shows a published version as one self-contained HTML page, to look at before training on it.

`page` writes it: `facts` (numbers from the manifest), `pick_clips` (which clips get a player), `players` (videos).
"""
