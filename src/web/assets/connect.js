// Connects accounts in a window of their own, and shows the page anew when that window says that something changed, or when
// the person comes back from it.
"use strict";
const anew = () => window.location.reload();
for (const link of document.querySelectorAll("a[data-popup]")) {
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    const opened = window.open(link.href, "workbench-connect", "popup,width=620,height=760");
    if (!opened) return;
    event.preventDefault();
    window.addEventListener("focus", anew, { once: true });
  });
}
new BroadcastChannel("workbench-mcp").addEventListener("message", anew);
