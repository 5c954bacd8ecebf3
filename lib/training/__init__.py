"""Where the time and the money of a training job go: profiles read, judged, compared, recorded."""
