"""Decoding photographs, finding cells in them and measuring their quality."""
