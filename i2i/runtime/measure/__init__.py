"""How fast a model runs: what `i2i bench` does."""
