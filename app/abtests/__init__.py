"""A/B tests: from a draft to a verdict."""
