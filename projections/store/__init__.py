"""Where the rows of projections are kept: one protocol, and a store for each kind of database."""
