"""Confidence sequences and always-valid p-values: valid at every look, however often and whenever one looks."""
