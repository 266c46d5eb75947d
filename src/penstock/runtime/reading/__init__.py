"""Runs read back from their records: as documents, by name, and as the journal tells them."""
