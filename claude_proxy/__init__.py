"""A local server that lets every OpenAI or Anthropic client use its owner's Claude through the official CLI."""

__version__ = "0.1.0"
