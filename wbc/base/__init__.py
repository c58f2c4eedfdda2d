"""What every stage stands on: files written aside, the stage's frame, parameters, names and random draws."""
