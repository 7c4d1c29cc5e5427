"""The strict protocol: answers as a careful reader takes them, layer by layer."""
