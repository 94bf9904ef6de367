"""What is written down: pipeline specs, addresses, names, globs and schedules, without any state."""
