"""All that people see of a command: options, progress, logs, the exit code."""
