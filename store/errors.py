"""The errors that reach a user: one line that names what was wrong and what is accepted."""


class SkipscopeError(Exception):
    """Bad input or a fault outside the program; its text is one line for the user, never a traceback."""
