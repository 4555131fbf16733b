"""Policies that move traffic by what the arms earn, and what their logs can still tell afterwards."""
