"""`python -m skipscope`: the command line."""

from skipscope.cli import main

if __name__ == "__main__":
    main()
