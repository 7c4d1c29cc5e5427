"""From predictions to scores: every protocol, its files, and what is stacked and listed of them."""
