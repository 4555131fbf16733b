"""Who gets which variant: a hash of the unit, no table look-up needed."""
