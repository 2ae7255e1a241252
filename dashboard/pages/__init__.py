"""One page a file; see the package for how a view is written."""
