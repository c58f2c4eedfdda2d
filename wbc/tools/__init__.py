"""Tools that know nothing of cells, one file each."""
