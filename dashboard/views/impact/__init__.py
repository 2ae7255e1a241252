"""The impact page: what each component changes in each window."""
