"""The story of Dethrone: gather, decide, apply. One flow a file."""
