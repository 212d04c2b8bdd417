"""Commands, and the Ray engine that runs them: ``cli`` lists them, one file per command, ``dispatch`` is the engine."""
