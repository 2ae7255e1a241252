"""The scene judge, its training, and its agreement with labels made by eye."""
