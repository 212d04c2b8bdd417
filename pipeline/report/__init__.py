"""A published version as one HTML page that needs nothing else: what one looks at before training on it.

`page` writes it: `facts` (numbers from the manifest), `choose` (which clips get a player), `players` (videos).
"""
