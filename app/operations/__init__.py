"""How an operator sees whether Winnow lives, can work, and what it does."""
