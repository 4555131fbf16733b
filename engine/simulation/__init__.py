"""Simulated worlds of known truth, and how the engine's promises fare in them."""
