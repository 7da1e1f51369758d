"""From a reading to the frames of each socket."""
