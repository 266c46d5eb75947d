"""Assets over a whole project: their graph, selections of it, what is stale, and what runs record of them."""
