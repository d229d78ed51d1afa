"""What every conversion needs around another library's converter."""
