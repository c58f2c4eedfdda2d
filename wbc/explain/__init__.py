"""The room of the stage explain: what a model looks at."""
