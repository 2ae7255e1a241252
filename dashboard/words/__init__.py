"""Names for people: components, kinds, actions, windows, metrics, evidence."""
