"""Many files: what becomes what, the threads that do it, and what is known to be done."""
