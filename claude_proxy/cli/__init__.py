"""The `claude-proxy` command: one small file a subcommand."""
