"""Who may write: the lease of the one driver, its locks, and the check that workers share its folder."""
