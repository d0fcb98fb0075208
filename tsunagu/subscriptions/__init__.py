"""Matching of changes against subscriptions, and delivery of the notifications."""
