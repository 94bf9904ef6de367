"""localpach: Pachyderm pipeline specs on one machine, without a cluster or a daemon."""
