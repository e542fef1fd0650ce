"""What can be tuned: the settings of a deployment and the declared tables."""
