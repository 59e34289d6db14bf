"""Recordings from the web."""
