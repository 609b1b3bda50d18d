"""What is done with lesson files: read, refused, built, verified, and where a student stands."""
