//! Permission queries, networks, methods and resources, matched (rank 1, pure).
