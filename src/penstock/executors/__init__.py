"""Where attempts run: `inline` in this process, `processes` in warm workers."""
