"""Published methods as schedules: functions of a component graph alone."""
