"""The report: what the pages show of a sweep as one HTML file that works offline. It has no page of its own."""
