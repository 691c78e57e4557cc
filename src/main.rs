//! The command `workbench-mcp`.

use std::process::ExitCode;

use clap::Parser as _;
use workbench_mcp::cli::{Cli, run};

/// A call makes some hundreds of short-lived allocations, and glibc's allocator took a quarter of its processor time. Without
/// huge pages, which would hold a third more memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(_) => ExitCode::FAILURE,
    }
}
