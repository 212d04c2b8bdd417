"""All code that knows Ray: actors, the loop that hands out shards, failures, metrics. Read `dispatch.py` first."""
