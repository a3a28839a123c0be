"""Training: what `compile` chose, the steps, and the loops around them."""
