"""What is measured, each in a process of its own: how it is opened, and the process from outside and inside."""
