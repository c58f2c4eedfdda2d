"""The rules that results must pass."""
