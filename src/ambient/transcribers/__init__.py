"""What every transcriber shares (recordings, tuning, transcriptions), and the doors to those of others."""
