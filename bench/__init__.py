"""How fast it is: black box, side by side with the obvious implementations."""
