"""From a run to an artifact that is checked against the network it came from."""
