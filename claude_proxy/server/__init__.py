"""The aiohttp server: routes, streaming, and who may come in."""
