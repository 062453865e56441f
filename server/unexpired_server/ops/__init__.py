"""Running a server: its process, log, metrics and background jobs."""
