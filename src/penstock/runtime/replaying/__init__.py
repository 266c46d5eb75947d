"""One task of a past run made again, in this process, outside of any run."""
