"""How many units a test needs, what it can detect, how long it takes, and how far it has come."""
