"""The room of the stage check: params.yaml as a whole."""
