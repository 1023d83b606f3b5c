"""Identify a video file: its container, packets, frames and their times."""
