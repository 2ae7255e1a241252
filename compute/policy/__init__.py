"""Plain data and plain Python about a network's components: the graph, schedules of actions, and what they leave alive."""
