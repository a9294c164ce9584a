"""A receiver's reading of X12: envelope, segments, sets, each by tables of its own."""
