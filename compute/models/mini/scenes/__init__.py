"""Captioned scenes and their rendering."""
