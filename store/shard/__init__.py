"""What lies in one file: the HDF5 shard of a unit, its checksum, its elements."""
