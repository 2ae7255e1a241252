"""What impact and phases say in sentences, in columns for a terminal, and as a sheet of pictures."""
