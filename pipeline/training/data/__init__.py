"""What a generator is shown while it trains: real frames, their maps and the flow between them, checked and cached."""
