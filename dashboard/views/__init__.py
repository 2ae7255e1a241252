"""The pages, one folder each. The docstring of `dashboard` says how to write one, and why this is not `pages`."""
