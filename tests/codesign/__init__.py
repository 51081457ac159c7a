"""Tests of the campaigns, the rank correlations and the methods of co-design."""
