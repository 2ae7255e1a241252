"""The ways to the store: read only, cached."""
