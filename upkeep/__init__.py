"""Programs that keep this repository's own pages true; nobody who uses the project needs them."""
