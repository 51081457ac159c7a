"""Accuracy: tables read, predictors checked against figures they did not learn from."""
