"""Servers that speak chat completions: requests, strict reading, streams, retries, transports."""
