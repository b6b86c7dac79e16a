"""Security: who asks, what they may ask, and what is kept of it.

`door.py` is the one way in: every rpc passes it, by the tokens of `tokens.py` or `jwks.py` and the
table of `permissions.py`. docs/security.md has the whole of it.
"""
