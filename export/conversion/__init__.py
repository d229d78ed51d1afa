"""What a conversion is asked for, and what it needs around another library's converter."""
