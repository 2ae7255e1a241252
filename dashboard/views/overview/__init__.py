"""The overview page: the state of a sweep and its findings."""
