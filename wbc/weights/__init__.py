"""The room of the stage weights: brings the weights that training starts from."""
