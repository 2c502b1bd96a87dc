"""Kills workers at random and at named points, and counts in the world outside what became of each run.

    python -m benchmarks.crash --kills 1000

A sink in a process of its own is the world: it writes down every effect, with fsync, before it answers. A driver
submits runs to workers, kills their process groups, and starts new ones; a person in another process answers what
waits. At the end a checker compares the sink, what was accepted, what the person said, and the stored history.
"""
