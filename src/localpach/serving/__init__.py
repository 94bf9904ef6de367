"""localpach as a server: jobs run in the background, and Pachyderm's own clients talk to the state."""
