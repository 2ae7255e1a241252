"""The configuration of a sweep: schema, loading, and validation messages for people."""
