"""The arithmetic: course graphs, visibility, roll-up, completion vectors. No framework, no I/O."""
