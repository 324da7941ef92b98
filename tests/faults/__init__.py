"""Faults on purpose, and the count of what they lost, repeated or changed."""
