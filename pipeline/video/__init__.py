"""What a file is: container, packets, frames and their times."""
