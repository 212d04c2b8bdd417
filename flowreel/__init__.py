"""Flowreel: label-map sequences in, photoreal paired video datasets out."""
