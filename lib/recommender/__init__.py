"""Which model on which instance: metrics of load tests, and the choice among them."""
