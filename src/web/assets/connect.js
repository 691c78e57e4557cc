// Connects accounts in a window of their own, and shows the page anew when that window says that something changed.
"use strict";
for (const link of document.querySelectorAll("a[data-popup]")) {
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    const opened = window.open(link.href, "workbench-connect", "popup,width=620,height=760");
    if (opened) event.preventDefault();
  });
}
window.addEventListener("message", (event) => {
  if (event.origin === window.location.origin && event.data && event.data.source === "workbench-mcp") window.location.reload();
});
