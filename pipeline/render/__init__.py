"""Renders a shard: its data file and outcomes. Read `shard.py` first."""
