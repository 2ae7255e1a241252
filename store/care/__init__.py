"""Maintenance of a store: its status, what is damaged, what may be removed."""
