"""The type checker that tests run the packages with: it checks the types and shapes of arguments and results."""

from beartype import BeartypeConf, beartype

check_types = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is accepted as a float
