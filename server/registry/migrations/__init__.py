"""How the registry's tables came to be, one revision a file; `radimpress.server.registry.migrate` runs them."""
