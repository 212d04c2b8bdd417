"""The vid2vid generator: networks, conditioning and the rollout through time.

Read in this order: ``config`` (what decides the networks), ``conditioning`` (label maps -> input channels),
``networks`` (one spatial scale each), ``rollout`` (a clip, frame by frame), ``checkpoint`` (files).
"""
