"""Running a server: the process, its log, its metrics, its background jobs."""
