"""How work is run: Celery, queues, relay, dead letters, lifecycle and metrics of the workers."""
