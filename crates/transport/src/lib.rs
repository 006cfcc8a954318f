//! Tower layers, caller identity, deadlines, shedding, status mapping, health, reflection (rank 5).
