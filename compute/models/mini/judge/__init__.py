"""The scene judge: reads which objects stand where, its training, its agreement with people."""
