"""The team's server: the control plane over HTTP, for people with different rights.

`create_app` makes it: `guard` is the outermost layer and decides who comes in, `routes` is the table of all addresses with the
permission that each asks for, and the handlers call the same library that a project without a server uses.
"""

from workbench.server.app import Settings, create_app

__all__ = ["Settings", "create_app"]
