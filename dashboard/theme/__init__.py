"""Colours, chart settings and style sheet of the light and the dark theme."""
