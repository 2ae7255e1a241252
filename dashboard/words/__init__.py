"""Labels and texts: components, kinds, actions, metrics, numbers; explanations that several pages share."""
