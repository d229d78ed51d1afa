"""Two benchmarks against each other: what differs beyond noise, with an exit code for CI."""
