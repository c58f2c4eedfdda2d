"""The room of the stage external: the model on other laboratories' images."""
