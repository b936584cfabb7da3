"""The numbered migrations, oldest first. A released one never changes."""
