// `oidc-provider`, a certified OpenID Connect provider, on this machine: people sign in there under whatever address they
// type, and its clients get access tokens for the resources that they ask for (RFC 8707, RFC 9068).

import http from "node:http";

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

/** The scopes of ours that it gives. */
const SCOPES = "tools:read tools:write";
/** A resource that is not ours. */
export const ELSEWHERE = "https://elsewhere.example.test/api";
export const OIDC_CLIENT = { id: "workbench-pages", secret: "the secret of the pages" };
export const WORKBENCH = { id: "example-workbench", secret: "the secret of the workbench" };
export const STRANGER = { id: "another-workbench", secret: "the secret of another" };

/** Where a provider keeps sessions, grants and tokens, longer than it has its keys. Nothing lives long enough to expire. */
class Shelf {
  static #kept = new Map();

  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload) {
    Shelf.#kept.set(`${this.model} ${id}`, payload);
  }

  async find(id) {
    return Shelf.#kept.get(`${this.model} ${id}`);
  }

  async findByUid(uid) {
    return [...Shelf.#kept.values()].find((payload) => payload.kind === this.model && payload.uid === uid);
  }

  async consume(id) {
    (await this.find(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    Shelf.#kept.delete(`${this.model} ${id}`);
  }

  async revokeByGrantId(grantId) {
    for (const [name, payload] of Shelf.#kept) if (payload.grantId === grantId) Shelf.#kept.delete(name);
  }
}

/** A running provider. */
export class Issuer {
  #keys = [];

  /** Listens; `configure` makes it answer. */
  static async start() {
    const issuer = new Issuer();
    issuer.server = http.createServer((request, response) => {
      if (request.url.startsWith("/client/back")) response.end("Back at the client.");
      else issuer.answer(request, response);
    });
    await new Promise((ready) => issuer.server.listen(0, "127.0.0.1", ready));
    issuer.url = `http://127.0.0.1:${issuer.server.address().port}`;
    // Where the clients take people back, which is their own affair and here only a page to stop at.
    issuer.back = `${issuer.url}/client/back`;
    return issuer;
  }

  /** Serves for this server of ours. `tokenSeconds` is how long access tokens live. */
  async configure(served, tokenSeconds = 300) {
    if (this.#keys.length === 0) this.#keys = [await key()];
    Object.assign(this, { served, tokenSeconds });
    const code = (client, redirect) => ({
      client_id: client.id,
      client_secret: client.secret,
      grant_types: ["authorization_code", "refresh_token"],
      id_token_signed_response_alg: "ES256",
      redirect_uris: [redirect],
    });
    const provider = new Provider(this.url, {
      adapter: Shelf,
      clients: [code(OIDC_CLIENT, `${served.url}login/callback`), code(WORKBENCH, this.back), code(STRANGER, this.back)],
      claims: { openid: ["sub"], email: ["email", "email_verified"] },
      cookies: { keys: ["not a secret in these checks"] },
      extraTokenClaims: (_, { accountId }) => ({ email: accountId }),
      features: { resourceIndicators: { enabled: true, getResourceServerInfo: (_, resource) => this.#resource(resource) } },
      findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: id, email_verified: true }) }),
      // Stricter than its own default for clients with a secret: each refresh token works once.
      rotateRefreshToken: true,
      jwks: { keys: this.#keys },
      ttl: {
        AccessToken: (_, { resourceServer }) => resourceServer?.accessTokenTTL ?? 300,
        Grant: 3600,
        IdToken: 300,
        Interaction: 600,
        RefreshToken: 3600,
        Session: 3600,
      },
    });
    this.answer = provider.callback();
  }

  /** A new key signs from now on; the old one is still published, for tokens that it signed. */
  async rotate() {
    this.#keys = [await key(), ...this.#keys];
    await this.configure(this.served, this.tokenSeconds);
  }

  #resource(resource) {
    return {
      audience: resource,
      scope: SCOPES,
      accessTokenFormat: "jwt",
      accessTokenTTL: this.tokenSeconds,
      jwt: { sign: { alg: "ES256" } },
    };
  }

  /** Trades something at the token endpoint; answers what came. */
  async trade(client, fields) {
    const basic = Buffer.from(`${client.id}:${encodeURIComponent(client.secret).replaceAll("%20", "+")}`);
    const headers = { authorization: `Basic ${basic.toString("base64")}` };
    const answer = await fetch(`${this.url}/token`, { method: "POST", headers, body: new URLSearchParams(fields) });
    const body = await answer.json();
    if (!answer.ok) throw new Error(`the issuer answered ${answer.status}: ${JSON.stringify(body)}`);
    return body;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

async function key() {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg: "ES256", use: "sig", kid: await calculateJwkThumbprint(jwk) };
}
