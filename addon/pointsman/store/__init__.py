"""Decisions on disk."""
