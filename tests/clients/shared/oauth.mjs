// What an application does for the OAuth helpers of the TypeScript SDKs. Node's own modules only.

import http from "node:http";

/** What an SDK asks its application to keep, and where it sends the person. */
export class Keeper {
  sentTo = [];

  constructor(redirect) {
    this.redirectUrl = redirect;
    this.clientMetadata = { client_name: "Checks", redirect_uris: [redirect] };
  }

  state() {
    this.lastState = crypto.randomUUID();
    return this.lastState;
  }

  clientInformation() {
    return this.registered;
  }

  saveClientInformation(registered) {
    this.registered = registered;
  }

  tokens() {
    return this.held;
  }

  saveTokens(held) {
    this.held = held;
  }

  invalidateCredentials(what) {
    if (["all", "tokens"].includes(what)) this.held = undefined;
    if (["all", "client"].includes(what)) this.registered = undefined;
  }

  redirectToAuthorization(url) {
    this.sentTo.push(url);
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveDiscoveryState(found) {
    this.found = found;
  }

  discoveryState() {
    return this.found;
  }
}

/** Takes the browser back, as a client on the person's machine does. */
export function callback() {
  const server = http.createServer((_, response) => response.end("Signed in."));
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

/** Runs what may end with the person being sent away. */
export async function attempt(action) {
  try {
    return { value: await action() };
  } catch (error) {
    return { error };
  }
}
