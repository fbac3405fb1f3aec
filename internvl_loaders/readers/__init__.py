"""Readers open one document and say what its pages hold, and draw them; they run in worker processes only."""
