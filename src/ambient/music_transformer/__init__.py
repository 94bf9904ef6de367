"""Music Transformer: a relative-attention model of performance tokens that composes."""
