"""Result files, pictures and the performance page."""
