"""Official vid2vid and pix2pixHD files -> a checkpoint directory. Read `run.py` first.

The way of a checkpoint: `files` finds what belongs together; `pth` and `features` read it without running anything
(`opened` remembers what was read); `options` and `presets` are what is said about it, `video` and `image` what the
weights themselves tell, by their `keys`; `settle` holds the two together. `video_draft` and `image_draft` make a
configuration of it, with a `single` generator of first frames that may have been `converted` before. `match` compares
every key and shape, `write` checks the numbers and stores the result.
"""
