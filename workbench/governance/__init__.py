"""Governance: who acts, what they may do, and proof of what was done.

`access` decides from one frozen table, `identity` and `tokens` say who somebody is, `audit` proves that the log is whole.
"""
