"""Upstreams that speak Chat Completions, by API key: one backend object for all of the config's entries."""
