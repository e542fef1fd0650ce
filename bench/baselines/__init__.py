"""The implementations to compare with, written as well as their libraries allow."""
