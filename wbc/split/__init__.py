"""The room of the stage split: training, validation and test part."""
