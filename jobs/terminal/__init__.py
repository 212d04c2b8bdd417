"""All that people see of a command: help, options, progress, logs, exit codes."""
