"""Random legal networks, run through a reference binary and through jaxmaestro, compared as text."""
