"""Killed workers and drivers, failing storage: what becomes of the clips."""
