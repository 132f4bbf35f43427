"""Studies: created, opened, resumed and refused; run by worker processes; compared with each other."""
