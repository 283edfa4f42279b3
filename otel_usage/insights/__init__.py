"""What was collected: read back, so that it can be counted."""
