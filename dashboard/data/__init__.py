"""Reads the store for the pages: cached, and never written to."""
