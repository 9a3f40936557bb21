"""What every room needs: the project file, errors of one sentence, software versions, and markdown."""
