"""API keys for the Anthropic API, or for another upstream that speaks it, as a backend."""
