"""The graph bench: its data, its peers and limits, what they are asked, and the load."""
