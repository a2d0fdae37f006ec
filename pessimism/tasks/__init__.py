"""Multi-task representation learning: how many samples to buy from each source task."""
