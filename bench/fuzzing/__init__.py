"""Every door of a fresh server under thousands of made-up requests: see scripts/fuzz."""
