"""What HTTP receivers ask for, and when."""
