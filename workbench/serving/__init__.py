"""Serving carries a chosen model out of the notebook: a safe format, proof that it still predicts the same, a bento, a server.

`formats` writes and reads model files, `conversion` makes ONNX, `parity` proves it, `packaging` builds the bento, `server` runs
it; `scorer` is the part that travels inside the bento. Nothing is imported here: the copy of this package inside a bento holds
only `scorer`, and whoever imports `workbench.serving` should not pay for BentoML.
"""
