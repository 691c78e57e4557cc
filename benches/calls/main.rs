//! What the product costs over a bare server: the same upstream read through `tools/call` of the real `serve` process
//! (token, policy, unsealing, durable audit on SQLite) and through an rmcp server with none of these, both as processes of
//! their own, in one run, in turns. Also `tools/list`, start-up, memory with 1,000 connected people, and the audit log by
//! itself. Run with `cargo bench`; `BENCH_SECONDS` sets the length of a round.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measuring program prints, and ends at the first surprise"
)]

mod bare;
mod credentials;
mod load;
#[path = "../process.rs"]
mod process;
mod product;

use std::time::Duration;

use load::{Load, Measured};

/// Connected people.
const PEOPLE: usize = 1_000;
/// Rounds of each kind; the median counts.
const ROUNDS: usize = 3;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    if let [_, mode, upstream] = std::env::args().collect::<Vec<_>>().as_slice()
        && mode == "bare-server"
    {
        runtime.block_on(bare::serve(upstream));
        return;
    }
    runtime.block_on(run());
}

async fn run() {
    let seconds = std::env::var("BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4);
    let round = Duration::from_secs(seconds);
    let upstream = load::upstream().await;
    let bare = bare::start(&upstream).await;
    let product = product::Product::start(&upstream, PEOPLE).await;
    let process = &product.process;
    println!(
        "start-up until the first answer: {:.1} ms (bare {:.1} ms)",
        process.started_ms, bare.started_ms
    );

    let call = |tool: &str| format!(r#"{{"name":"{tool}","arguments":{{"repo":"acme/site"}}"#);
    let bare_call = Load::new(
        &bare.url,
        "tools/call",
        &call("tree"),
        "tree",
        &[String::new()],
    );
    let product_call = Load::new(
        &process.url,
        "tools/call",
        &call("github_list_tree"),
        "github_list_tree",
        &product.tokens,
    );
    for connections in [1, 32] {
        let (mut plain, mut whole) = (Vec::new(), Vec::new());
        bare_call.run(connections, round / 2).await;
        product_call.run(connections, round / 2).await;
        let before = (bare.cpu_us(), process.cpu_us());
        for _ in 0..ROUNDS {
            plain.push(bare_call.run(connections, round).await);
            whole.push(product_call.run(connections, round).await);
        }
        let cost = |used: f64, rounds: &[Measured]| {
            used / rounds.iter().map(|round| round.calls).sum::<f64>()
        };
        let (plain_cost, whole_cost) = (
            cost(bare.cpu_us() - before.0, &plain),
            cost(process.cpu_us() - before.1, &whole),
        );
        let (plain, whole) = (median(plain), median(whole));
        println!("tools/call, {connections} connections");
        println!("  bare     {plain}");
        println!("  product  {whole}");
        println!(
            "  ratio {:.2}; added p50 {:.2} ms, p99 {:.2} ms",
            whole.per_second / plain.per_second,
            whole.p50_ms - plain.p50_ms,
            whole.p99_ms - plain.p99_ms,
        );
        println!("  processor time a call: bare {plain_cost:.0} µs, product {whole_cost:.0} µs");
    }
    let list = Load::new(&process.url, "tools/list", "{", "", &product.tokens);
    list.run(32, round / 2).await;
    println!(
        "tools/list, 32 connections\n  product  {}",
        list.run(32, round).await
    );
    println!(
        "resident with {PEOPLE} connected people, all of whom called: {:.1} MiB (bare {:.1} MiB)",
        process.resident_mib(),
        bare.resident_mib()
    );
    kinds(&product, &call("github_list_tree"), round).await;
    drop((product, bare));
    product::audit_alone().await;
}

/// The same call with each kind of token, in turns.
async fn kinds(product: &product::Product, call: &str, round: Duration) {
    let tool = "github_list_tree";
    let loads = product.kinds.iter().map(|(name, tokens)| {
        let load = Load::new(&product.process.url, "tools/call", call, tool, tokens);
        (*name, load, Vec::new())
    });
    let mut loads: Vec<_> = loads.collect();
    for (_, load, _) in &loads {
        load.run(32, round / 2).await;
    }
    for _ in 0..ROUNDS {
        for (_, load, measured) in &mut loads {
            measured.push(load.run(32, round).await);
        }
    }
    println!("tools/call, 32 connections, by kind of token");
    let mut first = None;
    for (name, _, measured) in loads {
        let measured = median(measured);
        let whole = *first.get_or_insert(measured.per_second);
        println!(
            "  {measured}   ratio {:.2}   {name}",
            measured.per_second / whole
        );
    }
}

fn median(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(rounds.len() / 2)
}
