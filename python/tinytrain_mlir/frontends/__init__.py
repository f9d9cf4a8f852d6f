"""Front ends: from a framework's model to the forward graph."""
