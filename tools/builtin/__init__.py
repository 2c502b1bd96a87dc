"""Tools that come with Collegium, one file each; `collegium.tools` loads the one that is asked for."""
