"""Networks that weights exist for, without a head, and what they expect of an image."""
