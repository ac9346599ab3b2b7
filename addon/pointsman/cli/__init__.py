"""What the `pointsman` command calls."""
