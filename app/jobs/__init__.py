"""Background work: its tasks, its schedule, and the worker that does it."""
