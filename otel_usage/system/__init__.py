"""What the package needs of the system: private files, daemon threads, deadlines, URLs, and the host's state."""
