// Tells our other pages that something changed, and closes the window that was opened for it. A provider's pages may have cut
// this window off from the one that opened it (Cross-Origin-Opener-Policy); a channel of our own origin still reaches it.
"use strict";
new BroadcastChannel("workbench-mcp").postMessage({ changed: "connections" });
if (window.opener && !window.opener.closed) window.close();
