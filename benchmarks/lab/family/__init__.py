"""How the published models were found, scored and published."""
