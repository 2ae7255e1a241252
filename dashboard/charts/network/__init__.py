"""The network drawn as the U that it is: its layout from the component graph, and the chart of it."""
