"""The operator's door: a thin shell over the parts that the processes are made of."""
