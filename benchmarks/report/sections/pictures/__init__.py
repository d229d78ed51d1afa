"""The sections that show samples and answers as pictures."""
