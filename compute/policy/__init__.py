"""Skip policies as plain data: component graph, schedules, liveness, cost model, search and files. No torch."""
