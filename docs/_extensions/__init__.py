"""What of the book is made from the code: links, reference, gallery, theorem index, tutorials."""
