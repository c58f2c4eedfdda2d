"""Published systems, run under their studies' protocols and under honest ones."""
