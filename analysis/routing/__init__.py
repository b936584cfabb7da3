"""Routing: captured with its certificate, summed into tables, held against topic and safety."""
