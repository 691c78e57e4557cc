// Tells the page that opened this one that something changed, and closes the window that was opened for it.
"use strict";
if (window.opener && !window.opener.closed) {
  window.opener.postMessage({ source: "workbench-mcp", changed: "connections" }, window.location.origin);
  window.close();
}
