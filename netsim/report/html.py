"""A trace as one self-contained page: the picture, and every rule and its manifest line behind a click."""
