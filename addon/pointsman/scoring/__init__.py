"""Pure functions of arrays and values. Randomness is passed in."""
