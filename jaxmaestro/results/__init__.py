"""What comes out: the costs as arrays, and the forms in which they are written and shown."""
