"""The way in for events over HTTP: CloudEvents, and plain webhooks.

A request is answered when what it tells of is recorded. What comes twice counts once.
"""
