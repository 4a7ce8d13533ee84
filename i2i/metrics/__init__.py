"""Named protocols of measuring pictures."""
