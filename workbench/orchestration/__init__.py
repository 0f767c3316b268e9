"""Runs of the journey: what happens inside a flow's steps, launching flows with live progress, and tracing any id.

Flows call `steps`, the Metaflow extension calls `hops`, the command line calls `launch`, `serving` and `trace`.
"""
