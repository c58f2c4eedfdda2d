"""Applying models, with the same bytes on every run."""
