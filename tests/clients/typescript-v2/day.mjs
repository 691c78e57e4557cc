// A day's work in Google Workspace and Microsoft 365, as a person's client does it: `node day.mjs`, after `npm install` here.
// Each step takes what it needs from the answers before it.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

import { ALICE, Browser, Demo, Tally } from "../shared/rig.mjs";

// The Monday that is today or next, and the evening after.
const monday = new Date();
monday.setUTCDate(monday.getUTCDate() + ((8 - monday.getUTCDay()) % 7));
const tuesday = new Date(monday.getTime() + 24 * 3_600_000);
const day = (date) => date.toISOString().slice(0, 10);
const tally = new Tally();
const demo = await Demo.start();
const client = new Client({ name: "day", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });

/** Calls a tool; the answer is in its place, or the step failed. */
async function step(what, name, args, holds) {
  const { isError, structuredContent } = await client.callTool({ name, arguments: args });
  const items = structuredContent?.items ?? [];
  tally.check(what, !isError && items.length > 0 && holds(items, structuredContent), structuredContent);
  return items;
}

try {
  const browser = new Browser();
  const token = demo.tokens[ALICE];
  await client.connect(new StreamableHTTPClientTransport(new URL(`${demo.mcp}?tools=all`), { requestInit: { headers: { authorization: `Bearer ${token}` } } }));
  const before = await client.callTool({ name: "google_search_mail", arguments: { q: "autumn launch" } });
  tally.check("what is not connected says how to connect it", before.isError && JSON.stringify(before).includes("/connect/google"), before);
  for (const integration of ["google", "m365"]) await browser.connect(`${demo.url}connect/${integration}`, token);

  const threads = await step("a mail is found", "google_search_mail", { q: "autumn launch" }, (found) => found.every(({ id, subject }) => id && subject));
  const [mail] = await step("and read, without its history", "google_get_mail", { id: threads[0].id }, ([thread]) => JSON.stringify(thread).includes("Dana"));
  const message = mail.messages?.at(-1)?.id ?? mail.id;
  await step("a reply is looked at first", "google_send_mail", { mode: "reply", message_id: message, body: "Yes, **1 December**.", draft: "new", dry_run: true }, ([would]) => would.dry_run && would.subject.startsWith("Re:"));
  await step("and drafted in its thread", "google_send_mail", { mode: "reply", message_id: message, body: "Yes, **1 December**.", draft: "new" }, ([draft]) => Boolean(draft.id));
  const guests = ["bob@acme.example", "dana@northwind.example"];
  const slots = await step("a free hour for three people is found", "google_find_availability", { guests, start: `${day(monday)}T09:00:00+01:00`, end: `${day(tuesday)}T18:00:00+01:00`, minutes: 60 }, ([slot]) => Boolean(slot.start));
  await step("and the meeting is prepared", "google_save_event", { title: "Contract", start: slots[0].start, guests: guests.join(", "), dry_run: true }, ([would]) => would.dry_run);
  const link = "https://drive.google.com/file/d/1PdfContract0000000001/view";
  await step("the contract's second page is read", "google_read_file", { file: link, pages: "2" }, ([file]) => file.text.includes("120 licences") && !file.text.includes("Delivery"));
  const edit = { file: "1DocAutumnLaunchPlan01", edits: [{ op: "replace_section", at: "## Next steps", text: "1. Sign\n2. Celebrate" }] };
  await step("a section of the plan is shown as it would become", "google_edit_doc", { ...edit, dry_run: true }, ([would]) => JSON.stringify(would).includes("Celebrate"));
  await step("and written", "google_edit_doc", edit, ([done]) => Boolean(done.url));
  const post = { ref: "00000000-0000-0000-0000-000000003001/19:launchgeneral@thread.tacv2", subject: "Contract", body: "Dana signs on **1 December**." };
  await step("the team is told", "m365_send_message", post, ([sent]) => Boolean(sent.id));
  await step("the mail at Microsoft is searched too", "m365_search_mail", { q: "launch numbers" }, (found) => found.every(({ id }) => id));
  for (const name of ["google_list_events", "m365_list_events"]) await step(`${name}: the coming week has its plans`, name, {}, ([event]) => Boolean(event.start));
  const watched = await client.callTool({ name: "m365_list_events", arguments: { changes: true } });
  tally.check("a calendar is watched", JSON.stringify(watched.structuredContent?.warnings).includes("watched from now on"), watched);
  await step("and tells what changed since", "m365_list_events", { changes: true }, (found) => found.some(({ removed }) => removed));
  const agenda = await client.readResource({ uri: "google://alice@acme.example/calendar/today" }).catch((error) => error);
  tally.check("and the day's agenda is at hand", agenda.contents?.[0]?.text?.length > 0, agenda);
  const log = demo.audit("m365_send_message");
  tally.check("the log knows of it", JSON.stringify(await log).includes("m365_send_message"), await log);
} catch (error) {
  tally.check("runs to its end", false, error);
} finally {
  await client.close().catch(() => {});
  await demo.stop();
}
tally.end("day");
