"""The accelerators of this machine: finding them, and sharing them among jobs."""
