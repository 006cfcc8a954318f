//! `latchkey`: the command line.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Loading a million keys leaves the system's allocator with a quarter of a gigabyte that nothing uses.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    latchkey::cli::main().await.into()
}
