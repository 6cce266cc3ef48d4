"""Runs the functions' binaries under AWS's runtime emulator."""
