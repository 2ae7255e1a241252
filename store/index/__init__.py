"""What lies across files: the manifest, the catalogue, and the table made from it."""
