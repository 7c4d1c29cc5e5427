"""Training of TinyVLM and of the Shapes benchmarks: everything is drawn here, nothing is downloaded."""
