"""The room of the stage suspects: labels that the images contradict."""
