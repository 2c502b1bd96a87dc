"""Anthropic's messages, through its own SDK (extra `anthropic`)."""
