"""Networks: one module for each family, and the registry that names them."""
