"""Music from recordings: notes, MIDI, audio, and the two models; knows nothing of pipelines."""
