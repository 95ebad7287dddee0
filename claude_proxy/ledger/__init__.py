"""What was used: one row a finished turn in an SQLite file of the user's, never any content, and what it adds up to."""
