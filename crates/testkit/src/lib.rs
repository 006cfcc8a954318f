//! Seeded builders, a manual clock and a registry in memory, for tests (dev).
