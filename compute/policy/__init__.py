"""The component graph, schedules of actions and what they leave alive: plain data and plain Python, without torch."""
