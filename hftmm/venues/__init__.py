"""Wire formats and session logic of each venue, without a socket."""
