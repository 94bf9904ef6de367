"""What is kept: the database, the trees of files, the objects, and who may write them."""
