"""TOML files into checked structs, with errors that name line, key and what is allowed."""
