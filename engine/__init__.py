"""Statistics for experiments: pure functions from sufficient statistics to typed, frozen results."""
