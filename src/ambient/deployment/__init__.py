"""Puts the pipelines, the songs and the results on and off a Pachyderm cluster, or localpach where there is none."""
