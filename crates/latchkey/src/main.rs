//! `latchkey`: the command line.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    latchkey::cli::main().await.into()
}
