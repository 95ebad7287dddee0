"""What backends over HTTP share: whose key is next, connections, trying again, and putting a model name into a body."""
