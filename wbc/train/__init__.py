"""The room of the stage train: training that can be killed and goes on to the same bytes."""
