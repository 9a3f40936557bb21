"""What every room needs: the project file, errors that are one sentence, and small pieces of markdown."""
