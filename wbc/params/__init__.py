"""Typed parameters: one module for each section of params.yaml, so that a new key reruns only its readers."""
