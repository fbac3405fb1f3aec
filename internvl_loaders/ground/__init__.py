"""A page's transcription held against a second reading of the page, its witness. Pure."""
