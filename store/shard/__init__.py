"""The shard of a unit, one HDF5 file: its checksum, its elements, writing and reading it."""
