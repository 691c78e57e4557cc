// A PostgreSQL server of our own for the checks, from the programs that are installed. Where there are none, the checks
// run on SQLite and say so; in CI that is a failure.

import { execFile, spawn } from "node:child_process";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { freePort, until } from "./rig.mjs";

const run = promisify(execFile);
const PACKAGED = "/usr/lib/postgresql";

/** The folder of `initdb` and `postgres`. */
async function programs() {
  const versions = await readdir(PACKAGED).catch(() => []);
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : join(PACKAGED, newest, "bin");
}

/** PostgreSQL refuses to run as root, so there it runs as its own user. */
function unprivileged(program, args) {
  if (process.getuid() !== 0) return [program, args];
  return ["setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", program, ...args]];
}

export class Postgres {
  /** Starts one; undefined where it is not installed. */
  static async start() {
    const bin = await programs();
    if (bin === undefined) {
      if (process.env.CI) throw new Error("CI is set and there is no postgres to start");
      console.log("SKIPPED on PostgreSQL: it is not installed; the checks run on SQLite");
      return undefined;
    }
    const database = new Postgres();
    database.programs = bin;
    database.directory = await mkdtemp(join(tmpdir(), "workbench-postgres-"));
    await chmod(database.directory, 0o777);
    const data = join(database.directory, "data");
    await run(...unprivileged(join(bin, "initdb"), ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "-D", data]));
    const port = await freePort();
    const settings = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", database.directory, "-c", "fsync=off"];
    database.process = spawn(...unprivileged(join(bin, "postgres"), settings), { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    database.process.stderr.on("data", (text) => (said += text));
    database.ended = new Promise((done) => database.process.on("close", done));
    const ready = await until(() => said.includes("ready to accept connections") || database.process.exitCode !== null, 20);
    if (!ready || database.process.exitCode !== null) throw new Error(`postgres did not start: ${said}`);
    database.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    return database;
  }

  /** Runs statements; answers the first column of the rows of the last one. */
  async query(statements) {
    const psql = join(this.programs, "psql");
    const args = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", this.url, "--command", statements];
    const { stdout } = await run(psql, args);
    return stdout.split("\n").filter(Boolean);
  }

  async stop() {
    this.process.kill("SIGINT");
    await this.ended;
    await rm(this.directory, { recursive: true, force: true });
  }
}
