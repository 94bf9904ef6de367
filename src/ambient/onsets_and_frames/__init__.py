"""Onsets and Frames: piano-roll transcription of recordings into notes."""
