"""What models learn from events, and what is advised from it."""
