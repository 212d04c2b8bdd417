"""Faults that runs of days meet, injected on purpose into real renders on a real local Ray."""
