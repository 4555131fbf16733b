"""A simulated world whose truth is known, and live traffic from it."""
