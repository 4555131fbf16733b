"""Events on their way in: decoded, checked, stored once, counted."""
