"""The command: the reference binary's flags, files and screen, on top of the library."""
