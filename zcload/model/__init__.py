"""What flows through zcload, and the arithmetic that needs nothing else."""
