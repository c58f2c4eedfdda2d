"""Speed and memory measured against a named alternative in the same run; docs/benchmarks.md keeps the output."""
