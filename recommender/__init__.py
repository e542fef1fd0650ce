"""The model behind the recommendations' endpoint: trained from interactions and the catalogue, and
served as SageMaker serves a container. It imports nothing of ours and knows no user by name."""
