"""Image files that are read by windows and written by rows."""
