"""`python -m compute`: the command line."""

from compute.cli import main

if __name__ == "__main__":
    main()
