"""A trace in the kernel's own trace shape."""
