"""Where the bytes of artifacts are kept, addressed by their digest."""
