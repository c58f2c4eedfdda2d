"""Pages for people: the cards of data and model, and the report."""
