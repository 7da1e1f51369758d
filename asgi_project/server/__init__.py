"""The server process: start, workers, drain, and the adapters for uvicorn and daphne."""
