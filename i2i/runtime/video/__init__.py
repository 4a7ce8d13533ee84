"""Videos: read, translated, written."""
