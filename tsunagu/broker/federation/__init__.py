"""Matching, planning and merging of distributed operations."""
