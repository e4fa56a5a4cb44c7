"""`python -m hftmm` is the command `hftmm`."""

from hftmm.cli import main

if __name__ == "__main__":
    main()
