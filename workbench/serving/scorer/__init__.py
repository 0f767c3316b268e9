"""The scorer is what answers predictions: manifest, request schema, model, guard and prediction log, as they travel in a bento.

Its modules import the standard library, numpy, pydantic, BentoML, the model's runtime and `workbench.errors`, and nothing else,
because a bento is served where the rest of the workbench is not installed. Nothing is imported here, so that reading a manifest
or a prediction log starts no server framework.
"""
