"""The control plane: one module per resource, one route table."""
