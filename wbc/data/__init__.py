"""Arrays of images on disk, and the tables that flow between stages."""
