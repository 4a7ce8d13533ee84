"""The conditional minimax game: networks, objectives, penalties. Knows no time, no device, no file."""
