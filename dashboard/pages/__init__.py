"""The pages, one folder each; the docstring of `dashboard` says how to write one."""
