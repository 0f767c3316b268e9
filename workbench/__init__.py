"""Workbench carries notebooks from experiment to governed, monitored model.

The package follows the journey: `data` (dataset, prepare), `training`, `fairness` (review), `registry` (choose), `serving`
(package, serve) and `monitoring` (watch). A notebook talks to all of it through the five verbs of `workbench.session`.
Nothing heavy is imported here.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
