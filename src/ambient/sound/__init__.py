"""Notes become finished sound: presets, synthesis, space, loudness, files and pictures."""
