module latchkey.example/verifier

go 1.25.0

// At least this: in those before v0.40.0, TileHashReader believes some tiles without leading them to the root, which the
// changes that this makes have shown.
require golang.org/x/mod v0.40.0
