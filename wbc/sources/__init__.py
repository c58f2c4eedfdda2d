"""Where images come from: one module for each source, all with the same `bring(destination, params=...)`."""
