"""What drove an anomaly, by how much, and what it will hit next: graphs and shares over a panel."""
