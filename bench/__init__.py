"""Speed and quality against named peers: `python -m bench NAME [--quick] [--json FILE]`."""
