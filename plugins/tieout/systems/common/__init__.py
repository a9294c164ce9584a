"""What clients of systems behind HTTP share: a connection's fields, one request, patience, a session among tasks."""
