"""The request path: classifies, reads Redis once, answers, hands the event over; knows no task."""
