"""What people read: reports of decisions, with their plots."""
