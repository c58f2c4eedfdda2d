"""Measures of predictions and their intervals."""
