"""Measurements of speed and memory against a named alternative in the same run; docs/benchmarks.md keeps their output."""
