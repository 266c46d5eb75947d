"""Worker processes, on both sides: forked from a server, or in another Python, and told over sockets what to do."""
