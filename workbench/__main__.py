"""`python -m workbench`: the command line of the interpreter at hand."""

from workbench.cli import main

if __name__ == "__main__":
    main()
