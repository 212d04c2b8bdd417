#!/bin/sh
# `flowreel COMMAND ...` for schedulers that know only success and failure: a version that was published although clips
# failed within the budget (exit code 3) is a success. The lost clips are counted by the metric flowreel_losses.
python -m flowreel "$@"
code=$?
[ "$code" -eq 3 ] && exit 0
exit "$code"
