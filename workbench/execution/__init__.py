"""Notebook execution: the typed contract of a notebook's `parameters` cell, one headless run, and the executed notebook as HTML.

A run validates its parameters before a kernel starts, never writes to its source, and leaves the executed notebook behind
also when a cell fails. Nothing is imported here: thin processes take from this package only what costs them little, such as
`step` and `lazy_grammar`, while `notebook_run` and `rendering` load papermill and nbconvert.
"""
