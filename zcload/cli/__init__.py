"""The command line. The only room that prints errors and exits."""
