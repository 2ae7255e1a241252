"""The workbench page: a policy made by hand, with what it is predicted to cost and to do."""
