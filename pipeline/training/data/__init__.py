"""Training data: real frames, their maps and the flow between them, checked and cached."""
