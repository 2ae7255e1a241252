"""Where units are executed: in the driver's process, or by the actors of a Ray cluster."""
