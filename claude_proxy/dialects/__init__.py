"""HTTP dialects: each translates a client's request to ours and our events to its stream. Pure."""
