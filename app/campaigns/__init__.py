"""Use cases on campaigns: editing them, and reading how they perform."""
