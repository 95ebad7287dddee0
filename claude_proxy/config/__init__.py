"""The configuration file: what its keys mean, and reading it."""
