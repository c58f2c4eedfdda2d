"""The commands of `wbc` that are more than a few lines, one module each."""
