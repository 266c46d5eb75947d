"""Graphs of older versions of the file format, brought up to today's."""

from __future__ import annotations

from typing import Any, cast

Document = dict[str, Any]


def upgraded(document: Document) -> Document:
    """The JSON document of a graph as today's version has it; the same one if it has already."""
    if document.get("version") != 1:
        return document
    nodes = [_with_retries(node) for node in cast("list[Document]", document["nodes"])]
    return {**document, "nodes": nodes, "version": 2}


def _with_retries(node: Document) -> Document:
    """Version 1 had two numbers in the policy of a node for what `Retries` says."""
    policy = dict(cast(Document, node.get("policy") or {}))
    if "retries" not in policy:
        return node
    retries = {"count": policy.pop("retries"), "delays": [policy.pop("retry_delay", 0.0)]}
    return {**node, "policy": {**policy, "retries": retries}}


__all__ = ["upgraded"]
