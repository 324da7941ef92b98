"""Between the program and the world: files today."""
