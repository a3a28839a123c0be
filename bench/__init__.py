"""The benchmark of Hornbeam and its peers, described in bench/README.md."""
