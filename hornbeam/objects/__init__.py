"""Objects and their configurations: families of parts, JSON forms, and safety of loading."""
