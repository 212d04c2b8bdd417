"""Official vid2vid and pix2pixHD files -> a checkpoint directory. Read `run.py` first.

The way of a checkpoint: `files` finds what belongs together, `pth` and `features` read it without running anything,
`options` and `presets` are what is said about it, `video` and `image` what the weights themselves tell, `settle` holds
the two together, `match` compares every key and shape, `write` stores the result.
"""
