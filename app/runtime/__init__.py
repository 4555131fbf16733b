"""What every part runs on: settings, clock, compute, broadcast, logging."""
