"""Escapes from the built-in tools: every known way out, with a canary outside and a listener that hears any touch."""
