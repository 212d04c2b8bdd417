"""What operators do to published versions: verify, render again, compare, trace, collect, compact."""
