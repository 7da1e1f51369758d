"""The contract between the writer and the readers: catalogue, table, times, Redis names. Imports neither."""
