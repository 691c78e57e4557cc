// Filters the list of tools as one types, checks JSON while it is typed, says that a call is under way, and fetches
// suggestions for the parts of a block's address. Every page works without it.
"use strict";

const filter = document.querySelector("input[data-filter]");
if (filter) {
  const entries = [...document.querySelectorAll("[data-entry]")];
  const groups = [...document.querySelectorAll("[data-group]")];
  const count = document.querySelector("[data-count]");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const entry of entries) {
      entry.hidden = !words.every((word) => entry.dataset.entry.includes(word));
      shown += entry.hidden ? 0 : 1;
    }
    for (const group of groups) {
      group.hidden = !group.querySelector("[data-entry]:not([hidden])");
    }
    count.textContent = `${shown} of ${entries.length}`;
  };
  filter.addEventListener("input", apply);
}

for (const area of document.querySelectorAll("textarea[data-json]")) {
  area.addEventListener("input", () => {
    let problem = "";
    if (area.value.trim() !== "") {
      try {
        JSON.parse(area.value);
      } catch (error) {
        problem = `This is not valid JSON: ${error.message}`;
      }
    }
    area.setCustomValidity(problem);
  });
}

for (const form of document.querySelectorAll("form[data-once], form[data-complete]")) {
  const busy = form.querySelector("[data-busy]");
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      // A second click must not be a second call.
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    if (busy && !event.submitter?.hasAttribute("data-view")) {
      busy.hidden = false;
    }
  });
}
// A page that comes back from the browser's history is whole again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form")) {
    delete form.dataset.sent;
  }
  for (const busy of document.querySelectorAll("[data-busy]")) {
    busy.hidden = true;
  }
});

const block = document.querySelector("form[data-complete]");
if (block) {
  const suggest = async (input) => {
    const body = new URLSearchParams(new FormData(block));
    body.set("part", input.dataset.part);
    const response = await fetch(block.dataset.complete, { method: "POST", body });
    if (!response.ok) {
      return;
    }
    const { values } = await response.json();
    const list = document.getElementById(input.getAttribute("list"));
    list.replaceChildren(...values.map((value) => {
      const option = document.createElement("option");
      option.value = value;
      return option;
    }));
  };
  for (const input of block.querySelectorAll("input[data-part]")) {
    let timer = 0;
    const later = (wait) => {
      clearTimeout(timer);
      timer = setTimeout(() => suggest(input).catch(() => {}), wait);
    };
    input.addEventListener("input", () => later(250));
    input.addEventListener("focus", () => later(0));
  }
}
