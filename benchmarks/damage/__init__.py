"""Damages copies of a store, reads each through the public interface and compares what comes with the truth."""
