"""How jobs run: their order, their datums, the programs and where these run."""
