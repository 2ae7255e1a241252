"""What to run in a given time a picture: solvers, steps and what rests in them, searched together and run."""
