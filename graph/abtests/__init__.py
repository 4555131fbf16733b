"""A/B tests in the graph."""
