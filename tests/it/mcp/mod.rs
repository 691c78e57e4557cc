//! The MCP face, over HTTP and against the real wiring.

mod publishing;
mod rig;
mod sessions;
mod sse;
mod stateless;

#[tokio::test(flavor = "multi_thread")]
async fn scratch_serve() {
    let Ok(out) = std::env::var("SCRATCH_OUT") else {
        return;
    };
    let rig = rig::Rig::start().await;
    std::fs::write(&out, format!("{} {} {}", rig.url, rig.alice, rig.bob)).unwrap();
    while std::path::Path::new(&out).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
