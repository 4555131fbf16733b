"""Background work, as clients see it."""
