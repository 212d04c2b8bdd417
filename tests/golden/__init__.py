"""Numbers and bytes that must not change unnoticed."""
