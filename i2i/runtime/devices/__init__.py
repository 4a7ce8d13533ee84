"""Where a model runs: processors, providers, memory."""
