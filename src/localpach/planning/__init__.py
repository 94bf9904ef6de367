"""What follows from a change: which commits and jobs, and which datums of a job are to be processed."""
