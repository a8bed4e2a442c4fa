"""A small team package, as any team's: the mutations of this folder are made to its source."""
