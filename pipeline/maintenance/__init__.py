"""Operations on published versions: verify, render again, compare, trace, collect, compact."""
