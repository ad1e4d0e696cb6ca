"""Runs the recorded flows through the model and says where they disagree; shared by the tests of all proxy modes."""
