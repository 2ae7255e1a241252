"""What is recorded about all shards: the manifest, the catalogue, and the table made from it."""
