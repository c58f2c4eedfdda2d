"""The room of the stage evaluate: its page and its figures."""
