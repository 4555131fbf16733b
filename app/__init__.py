"""Winnow's server: time, people and data."""
