"""The one language spoken inside: Anthropic's Messages grammar in our own types. Pure.

Every dialect translates to and from it, every backend takes and gives it: N dialects and M backends are N + M
translators.
Sources: https://docs.anthropic.com/en/api/messages and https://docs.anthropic.com/en/api/messages-streaming.
"""
