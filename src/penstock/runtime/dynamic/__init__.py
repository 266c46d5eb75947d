"""The bodies of dynamic pipelines in a run: answered, recorded, and called again when the run goes on."""
