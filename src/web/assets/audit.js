// Three small comforts for the audit pages, which work without them: dragging over the chart picks a time, new rows appear
// by themselves, and how far a verification or an export is stays fresh.
"use strict";

const chart = document.querySelector("[data-brush]");
if (chart) {
  const bars = [...chart.querySelectorAll("[data-from]")];
  const barAt = (event) => {
    const box = chart.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * bars.length);
    return Math.max(0, Math.min(bars.length - 1, at));
  };
  let first = null;
  let last = null;
  const show = () => bars.forEach((bar, at) => bar.classList.toggle("picked", first !== null && at >= Math.min(first, last) && at <= Math.max(first, last)));
  chart.addEventListener("dragstart", (event) => event.preventDefault());
  chart.addEventListener("pointerdown", (event) => { if (event.button === 0) { first = last = barAt(event); } });
  window.addEventListener("pointermove", (event) => { if (first !== null) { last = barAt(event); show(); } });
  window.addEventListener("pointerup", () => {
    if (first === null) return;
    const [from, to] = [Math.min(first, last), Math.max(first, last)];
    first = last = null;
    show();
    // A click on one bar is the bar's own link.
    if (from === to) return;
    const stop = (event) => { event.preventDefault(); event.stopPropagation(); };
    window.addEventListener("click", stop, { capture: true, once: true });
    const url = new URL(chart.dataset.brush, window.location.href);
    url.searchParams.set("from", bars[from].dataset.from);
    url.searchParams.set("to", bars[to].dataset.to);
    window.location.assign(url);
  });
  window.addEventListener("pointercancel", () => { first = last = null; show(); });
}

const live = document.querySelector("[data-rows]");
if (live) {
  const every = 3000;
  const most = 500;
  const rows = document.getElementById("rows");
  const words = document.getElementById("live-words");
  const box = live.querySelector("input");
  let after = Number(live.dataset.after);
  let timer = null;
  live.hidden = false;
  const look = async () => {
    try {
      const url = new URL(live.dataset.rows, window.location.href);
      url.searchParams.set("after", String(after));
      const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const part = document.createElement("tbody");
      part.innerHTML = await answer.text();
      const fresh = [...part.querySelectorAll("tr")];
      if (fresh.length > 0) {
        rows.querySelectorAll(".fresh").forEach((row) => row.classList.remove("fresh"));
        fresh.forEach((row) => row.classList.add("fresh"));
        after = Math.max(...fresh.map((row) => Number(row.dataset.seq)));
        rows.prepend(...fresh);
        while (rows.rows.length > most) rows.deleteRow(-1);
        document.querySelector(".empty-words")?.remove();
        words.textContent = `${fresh.length} new records`;
      }
      again();
    } catch {
      box.checked = false;
      words.classList.remove("unseen");
      words.textContent = "The live view has stopped: the server does not answer. Reload the page.";
    }
  };
  const again = () => {
    clearTimeout(timer);
    if (box.checked && !document.hidden) timer = setTimeout(look, every);
  };
  box.addEventListener("change", () => { words.classList.add("unseen"); again(); });
  document.addEventListener("visibilitychange", again);
}

const state = document.querySelector("[data-state]");
if (state) {
  const running = () => state.querySelector("[data-running=true]") !== null;
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(state.dataset.state, { credentials: "same-origin", redirect: "error" });
        if (!answer.ok) return;
        state.innerHTML = await answer.text();
      } catch {
        return;
      }
    }
    if (running()) setTimeout(look, 1000);
  };
  if (running()) setTimeout(look, 1000);
  // A download leaves this page where it is: soon after, it is on the list.
  document.querySelector("form[action$='/audit/export']")?.addEventListener("submit", () => setTimeout(look, 1500));
}
