// The clients in JavaScript: a bare fetch, and three that refresh, each as in its documentation.
import axios from "axios";
import { createAuthRefresh } from "axios-auth-refresh";
import ky from "ky";

const ME = "/api/me";
const REFRESH = "/api/refresh";

// Answer calls in the page itself, so that only the clients' own work is left.
const { fetch: send } = globalThis;
const USER = JSON.stringify({ id: 1, username: "ada", scopes: [] });
const headers = { "Content-Type": "application/json", "Content-Length": `${USER.length}` };
const answer = async () => new Response(USER, { headers });

globalThis.answerAtOnce = (isOn) => {
  globalThis.fetch = isOn ? answer : send;
};

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

class Contender {
  async sign_in(username, password) {
    this.username = username;
    this.tokens = await post("/api/login", { username, password });
  }

  get access() {
    return this.tokens.accessToken;
  }

  // Replace the token by an expired one; these clients never check its expiry.
  expire(access) {
    this.tokens = { ...this.tokens, accessToken: access };
  }

  async renew() {
    this.tokens = await post(REFRESH, { refreshToken: this.tokens.refreshToken });
  }

  bearer() {
    return { Authorization: `Bearer ${this.tokens.accessToken}` };
  }

  // Return the milliseconds for a call, of several made one after the other.
  async sample(calls) {
    const began = performance.now();
    for (let made = 0; made < calls; made += 1) await this.me();
    return (performance.now() - began) / calls;
  }

  // Return the milliseconds for several calls at once, and how many were lost.
  async burst(calls) {
    const began = performance.now();
    const responses = await this.atOnce(calls);
    const ms = performance.now() - began;
    const isGood = ({ value }) => value?.username === this.username;
    return { ms, lost: calls - responses.filter(isGood).length };
  }

  atOnce(calls) {
    return Promise.allSettled(Array.from({ length: calls }, () => this.me()));
  }
}

class Fetch extends Contender {
  async me() {
    return (await fetch(ME, { headers: this.bearer() })).json();
  }

  // The minimum: one refresh, and one round of calls.
  async atOnce(calls) {
    await this.renew();
    return super.atOnce(calls);
  }
}

class Wrapper extends Contender {
  async me() {
    let response = await fetch(ME, { headers: this.bearer() });
    if (response.status === 401) {
      this.renewing ??= this.renew().finally(() => (this.renewing = null));
      await this.renewing;
      response = await fetch(ME, { headers: this.bearer() });
    }
    return response.json();
  }
}

class Axios extends Contender {
  api = axios.create();

  constructor(options) {
    super();
    this.api.interceptors.request.use((request) => {
      request.headers.Authorization = this.bearer().Authorization;
      return request;
    });
    createAuthRefresh(this.api, () => this.renew(), options);
  }

  async me() {
    return (await this.api.get(ME)).data;
  }
}

class Ky extends Contender {
  api = ky.create({
    hooks: {
      beforeRequest: [
        ({ request }) => request.headers.set("Authorization", this.bearer().Authorization),
      ],
      afterResponse: [
        async ({ request, response, retryCount }) => {
          if (response.status !== 401 || retryCount > 0) return undefined;
          await this.renew();
          const headers = new Headers(request.headers);
          headers.set("Authorization", this.bearer().Authorization);
          // By default it waits 300 ms before each retry.
          return ky.retry({ request: new Request(request, { headers }), delay: 1 });
        },
      ],
    },
  });

  me() {
    return this.api.get(ME).json();
  }
}

globalThis.contenders = {
  "fetch, JavaScript": new Fetch(),
  "a wrapper by hand, JavaScript": new Wrapper(),
  "axios, axios-auth-refresh": new Axios(),
  "axios, axios-auth-refresh, not deduplicating": new Axios({ deduplicateRefresh: false }),
  "ky, its hook for a refresh": new Ky(),
};
