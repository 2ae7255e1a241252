"""The policies page: measured time and quality of validated policies."""
