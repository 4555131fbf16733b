"""What models advise, as clients see it."""
