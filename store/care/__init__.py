"""Looking after a store: how far it is, what is damaged, what may be removed."""
