"""``python -m claude_proxy`` is the ``claude-proxy`` command."""

from claude_proxy.cli.main import run

if __name__ == "__main__":
    run()
