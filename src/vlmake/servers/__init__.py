"""Model servers that a job starts for itself: started on its devices, watched, and always stopped."""
