"""The small process that builds a box and watches it.

It runs as a package of its own (`warden`), by an interpreter that was started with nothing (`-I -S`), so it imports
nothing else of Collegium, and of the standard library only what starts fast.
"""
