"""What tests need to run real parts: processes, a proxy that can be cut, clients."""
