"""The computer and the process that edgeport runs in: CPU, standard streams, child processes, late imports."""
