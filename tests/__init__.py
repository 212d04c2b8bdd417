"""The tests; `tests.golden.check` is also a program."""
