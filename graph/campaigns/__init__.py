"""Campaigns, merchants and their analytics in the graph."""
