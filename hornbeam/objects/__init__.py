"""Objects and their configurations: families of parts, JSON forms, and what protects the reader of
a file.
"""
