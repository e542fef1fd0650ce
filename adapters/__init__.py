"""Who we talk to: one module for each outside thing, the only importers of boto3 and redis."""
