"""The room of the stage clean: drops what cannot be used and cuts out the cells."""
