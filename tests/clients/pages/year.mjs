// A year of calls in the audit log of an organization that has not begun yet: so many that only an index finds some of
// them quickly. They are there to be looked through, straight from PostgreSQL; their hashes are made up.

/** People of that year, and the name of each. */
export const PEOPLE = 50;
export const person = (number) => `person${number}@example.test`;
/** Calls of a conversation, which is of one person. */
const THREAD = 20;
/** Tools that were called, and what they do. */
const TOOLS = [
  ["github_list_issues", "read"],
  ["github_get_issue", "read"],
  ["github_save_issue", "write"],
  ["hubspot_search_records", "read"],
  ["hubspot_get_record", "read"],
  ["google_search_mail", "read"],
  ["google_delete_item", "destructive"],
];

const text = (words) => `'${words}'`;
const list = (index) => `(array[${TOOLS.map((tool) => text(tool[index])).join(", ")}])[1 + n % ${TOOLS.length}]`;
/** A UUID that everybody arrives at. */
const made = (what) => `md5(${what})::uuid`;

/** Writes so many calls, the last a minute ago. Answers the ids of an account and of a call among them. */
export async function year(database, calls) {
  const now = (Date.now() - 60_000) * 1000;
  const step = Math.floor((365 * 86_400e6) / calls);
  const at = `(${now} - (${calls} - n) * ${step}::bigint)`;
  const holder = `(n / ${THREAD} * 7 % ${PEOPLE} + 1)`;
  await database.query(`
    insert into organizations (id, slot, name, created_at) values (${made(text("acme"))}, 1, 'Acme', ${now - calls * step});
    insert into users (id, org_id, email, role, created_at)
      select ${made("'person' || n")}, ${made(text("acme"))}, 'person' || n || '@example.test', 'member', ${now - calls * step}
      from generate_series(1, ${PEOPLE}) n;
    insert into audit_events (org_id, seq, at, kind, call_id, user_id, integration, connection_id, tool, effect, thread,
        outcome, facts, hash)
      select ${made(text("acme"))}, n, at, 'tool.outcome',
        -- The id of a call begins with its time in milliseconds (RFC 9562, version 7).
        (lpad(to_hex(at / 1000), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
        ${made("'person' || holder")}, split_part(tool, '_', 1), ${made("'account' || holder || split_part(tool, '_', 1)")},
        tool, effect, 'thread-' || n / ${THREAD},
        case n % 97 when 0 then 'timeout' when 1 then 'rate_limited' when 2 then 'upstream_unavailable' else 'ok' end,
        '{"duration_us":' || (1 << (10 + n % 13)) || ',"upstream_requests":1,"upstream_status":200}',
        sha256(n::text::bytea)
      from (select n, ${at} as at, ${holder} as holder, ${list(0)} as tool, ${list(1)} as effect
        from generate_series(1, ${calls}) n) calls;
    insert into audit_counts
      select org_id, span, at - at % (span * 1000000::bigint) as start, 'calls', integration, effect, count(*),
        count(*) filter (where outcome <> 'ok'), count(*), sum(us), max(us),
        count(*) filter (where us <= 10000), count(*) filter (where us > 10000 and us <= 30000),
        count(*) filter (where us > 30000 and us <= 100000), count(*) filter (where us > 100000 and us <= 300000),
        count(*) filter (where us > 300000 and us <= 1000000), count(*) filter (where us > 1000000 and us <= 3000000),
        count(*) filter (where us > 3000000 and us <= 10000000), count(*) filter (where us > 10000000)
      from (select *, 1 << (10 + seq::int % 13) as us from audit_events) events, unnest(array[3600, 86400]) as span
      group by org_id, span, start, integration, effect;
    insert into audit_heads (org_id, seq, hash, at, checkpoint_seq, checkpoint_at, counted)
      select org_id, seq, hash, at, seq, at, seq from audit_events order by seq desc limit 1;
    analyze;`);
  const [account] = await database.query(`select ${made("'account7github'")}`);
  const [call] = await database.query(`select call_id from audit_events where seq = ${Math.floor(calls / 3)}`);
  const hex = (uuid) => uuid.replaceAll("-", "");
  return { account: `con_${hex(account)}`, call: `call_${hex(call)}` };
}
