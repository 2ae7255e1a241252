"""Where units are executed: in this process, or on the actors of a Ray cluster."""
