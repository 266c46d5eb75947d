"""Where a run takes place: its project, its process, and what else its results depend on."""
