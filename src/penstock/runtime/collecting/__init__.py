"""Collection: what is kept of what a project has recorded and stored, and how the rest is removed."""
