"""Files that come from elsewhere: where they are, how they are brought, where they lie. Knows nothing of data sets."""
