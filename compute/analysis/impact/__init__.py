"""How much each ablation changes the picture, with intervals over conditions."""
