"""Metaflow finds the `cards` folder by its place beside this module; there is nothing else to register."""
