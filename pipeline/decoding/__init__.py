"""Decode a planned chunk into frames: one protocol, and a module per backend.

This package imports nothing, so that a process that only starts a decoding process does not wait 6 s for torchcodec.
"""
