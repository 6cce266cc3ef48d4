"""Measures the functions' binaries as Lambda would run them."""
