//! Generated protobuf code and the conversions to and from the domain (rank 4).
