"""The page Policies."""
