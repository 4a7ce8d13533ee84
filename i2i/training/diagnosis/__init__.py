"""What can go wrong with a game, each thing found in the records of a run alone."""
