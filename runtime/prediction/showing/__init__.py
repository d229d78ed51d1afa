"""What `edgeport predict` shows of answers: lines, JSON and pictures, as what an output means asks for."""
