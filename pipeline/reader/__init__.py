"""Reads a published version: clips as arrays, and PyTorch datasets of them."""

from flowreel.pipeline.reader.dataset import ClipData, Dataset, open_dataset

__all__ = ["ClipData", "Dataset", "open_dataset"]
