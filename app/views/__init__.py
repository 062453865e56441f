"""The page's views: each module shows one thing and calls the client; none knows another."""
