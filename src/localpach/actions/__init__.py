"""What people do: each module a group of commands, as functions over the state."""
