"""Running the equations on batches of any length: shared work, fixed shapes, compiled programs."""
