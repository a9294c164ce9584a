"""G/L postings of a period: grouped by cost centre, in the partner's format."""
