"""What is known by name: found in files and modules, loaded, compared with the version before, registered, started."""
