"""The room of the stage augment: views of images, and SMOTE."""
