"""How HTTP requests are identified and how hot views are served."""
