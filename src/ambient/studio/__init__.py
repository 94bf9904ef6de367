"""The studio: a page on which a musician works with the store on this machine."""
