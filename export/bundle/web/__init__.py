"""The page of `edgeport serve` as a folder that answers in the browser alone, on any server of files."""
