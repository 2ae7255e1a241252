"""The folder of a sweep: names and paths, atomic writes, sweep.json, documents, failures."""
