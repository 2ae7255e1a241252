"""`python -m compute`: the command line."""

from compute.cli.main import main

if __name__ == "__main__":
    main()
