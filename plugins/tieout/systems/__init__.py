"""One package per outside system: how to log in, read and write. Systems never import each other."""
