"""Checkpoints of other projects: read without running what is in them, recognised by names and shapes of tensors."""
