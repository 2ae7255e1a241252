"""The world of the bundled minis: captioned emoji scenes and their rendering."""
