"""What Flowreel costs in time and memory. Run from the repository's root: ``python -m benchmarks.NAME``."""
