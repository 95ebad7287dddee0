"""Upstreams that answer turns. ``base`` says what one must do; each other module or folder here is one."""
