"""The one driver of a store: its lease, the locks behind it, and the check that workers see the same folder."""
