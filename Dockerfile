# syntax=docker/dockerfile:1
# One binary on a distroless base: no shell, no package manager, no root.
#
#   docker build -t workbench-mcp .
#   docker run -p 8080:8080 -v workbench:/data -e WORKBENCH_PUBLIC_URL=https://workbench.example workbench-mcp

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
RUN apt-get update \
  && apt-get install -y --no-install-recommends build-essential cmake \
  && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock LICENSE README.md ./
COPY fixtures fixtures
COPY src src
# The manifest names the test binary; its sources are not needed to build the product.
RUN mkdir -p tests/it && echo 'fn main() {}' > tests/it/main.rs
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin workbench-mcp \
  && install -D target/release/workbench-mcp /out/workbench-mcp \
  && install -d -m 0700 /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/workbench-mcp /usr/local/bin/workbench-mcp
# The database and, unless they are given as settings, the keys.
COPY --from=build --chown=nonroot:nonroot /out/data /data
ENV WORKBENCH_DATA_DIR=/data \
    WORKBENCH_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
USER nonroot
# /healthz and /readyz tell an orchestrator how it is; there is no shell in here to ask from.
ENTRYPOINT ["/usr/local/bin/workbench-mcp"]
CMD ["serve"]
