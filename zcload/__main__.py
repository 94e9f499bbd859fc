"""Entry point of `python -m zcload`."""

from zcload.main import main

if __name__ == "__main__":
    main()
