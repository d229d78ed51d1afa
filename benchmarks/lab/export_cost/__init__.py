"""An export beside its bare converters: time, memory."""
