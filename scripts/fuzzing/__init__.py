"""The fuzzer: see scripts/fuzz and docs/testing.md."""
