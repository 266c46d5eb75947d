"""The frozen nouns of penstock: what a pipeline is and what happens in a run, as data. No input or output here."""
