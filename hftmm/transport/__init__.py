"""The only sockets: venue connections and the Desk link."""
