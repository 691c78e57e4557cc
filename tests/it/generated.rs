//! What is generated is current. `UPDATE=1` writes it; the diff is read before anything else of a change.

use std::path::Path;

use workbench_mcp::schemas;

#[test]
fn schemas_and_tables_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        for path in schemas::write(root).unwrap() {
            eprintln!("wrote {}", path.display());
        }
    }
    let stale = schemas::stale(root).unwrap();
    assert!(
        stale.is_empty(),
        "missing or old, write them with `UPDATE=1 cargo test --test it generated`: {stale:?}"
    );
}
