"""The command line: each command parses, calls one function of the library, and prints what it returns.

Exit codes: 0 done, 1 a fault of the workbench, 2 input that cannot be used, 3 not found, 4 waits for a person,
5 a run failed, 6 a component is missing, 7 not allowed, 8 a gate failed or what was decided upon has changed, 9 tampered,
130 interrupted. With `--json` a command prints one JSON document. Nothing is
imported here: `entry.main` is the way in, and `execute` has a shorter one.
"""
