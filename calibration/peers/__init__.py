"""Methods that Dethrone is measured against, or whose published numbers hold it to account; no flow uses them.

What a verdict, a report or a plan rests on is in ``analysis``, which knows nothing of this room.
"""
