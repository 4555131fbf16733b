"""Fixed-horizon tests and intervals: valid when looked at once, at the planned size."""
