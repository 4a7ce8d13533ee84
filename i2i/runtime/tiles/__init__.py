"""Images of any size through a model: whole, or in pieces that give what the whole would."""
