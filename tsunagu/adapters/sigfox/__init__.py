"""Sigfox callbacks."""
