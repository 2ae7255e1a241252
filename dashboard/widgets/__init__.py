"""Pieces that several pages use: choices, text, tables, charts, pictures."""
