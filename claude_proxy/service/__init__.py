"""The server as a service of its user: a systemd user unit or a LaunchAgent."""
