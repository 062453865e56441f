"""Other people's HTTP libraries within the session; each module needs only its own library."""
