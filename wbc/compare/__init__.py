"""Models side by side, ranked on the same images."""
