"""Imports official vid2vid and pix2pixHD files as a checkpoint directory. Read `run.py` first.

The steps of an import: `files` finds what belongs together; `pth` and `feature_tables` read it without running anything
(`safe_unpickle`; `open_files` remembers what was read). `options` and `presets` are what people and files claim about
it, `video_weights` and `image_weights` what the weights themselves show by their `weight_layout`; `reconcile` compares
the two. `video_draft` and `image_draft` make a configuration of it, with a `single` generator of first frames that may
have been imported before (`imported_single`). `compare` checks every key and shape, `write` checks the numbers and
stores it.
"""
