"""Turns source files into ids and instances: one file per encoding, `decoder.py` for what they share."""

from flowreel.pipeline.sources.encodings.decoder import PLAIN, MapDecoder, MapFile, open_decoder

__all__ = ["PLAIN", "MapDecoder", "MapFile", "open_decoder"]
