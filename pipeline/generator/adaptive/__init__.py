"""Class-adaptive video generators: `picture` makes a frame from labels alone, `motion` knows those before it."""
