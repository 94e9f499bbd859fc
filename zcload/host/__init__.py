"""What can be seen of the host and of the processes: clocks, readings, environment, checks of the host."""
