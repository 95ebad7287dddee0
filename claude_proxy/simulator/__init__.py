"""A loopback Messages API that is as strict as the real one and answers from a script."""
