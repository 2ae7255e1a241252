"""The bench: policies run on shared prompts; their seconds and quality side by side."""
