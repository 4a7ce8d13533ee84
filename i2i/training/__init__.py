"""Time: steps, devices, precision, checkpoints, cadence. Knows no loss and no architecture."""
